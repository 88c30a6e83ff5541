-- $1 before when
delete from auth.oauth_client_states where id in (
  select s.id from auth.oauth_client_states s where s.created_at < $1 limit 100 for update skip locked)
