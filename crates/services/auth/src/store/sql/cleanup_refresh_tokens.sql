-- $1 before when. The parent of a live token stays: a client that lost an answer comes back with it.
delete from auth.refresh_tokens where id in (
  select t.id from auth.refresh_tokens t
  where t.updated_at < $1 and t.revoked
    and not exists (select from auth.refresh_tokens c where c.parent = t.token and c.revoked = false)
  limit 100
  for update skip locked)
