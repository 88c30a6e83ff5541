-- $1 id: gone for everybody else, however many try
delete from auth.flow_state where id = $1 returning id
