-- $1 id: gone for everybody else, however many try
delete from auth.flow_state f where f.id = $1 returning to_jsonb(f)
