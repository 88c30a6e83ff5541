-- $1 ended before when
delete from auth.oauth_authorizations where id in (
  select a.id from auth.oauth_authorizations a where a.expires_at < $1 limit 100 for update skip locked)
