-- $1 before when
delete from auth.saml_relay_states where id in (
  select r.id from auth.saml_relay_states r where r.created_at < $1 limit 100 for update skip locked)
