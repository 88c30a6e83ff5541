-- $1 before when
delete from auth.flow_state where id in (
  select f.id from auth.flow_state f where f.created_at < $1 limit 100 for update skip locked)
