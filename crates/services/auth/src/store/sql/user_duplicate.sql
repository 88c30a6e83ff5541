-- $1 email, $2 audience, $3 a user who does not count (or null): whoever holds this address, by an identity
-- outside single sign-on or as the account's own.
select to_jsonb(u) || jsonb_build_object(
  'identities', (
    select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]'::jsonb)
    from auth.identities i where i.user_id = u.id))
from auth.users u
where u.aud = $2
  and u.id is distinct from $3::uuid
  and u.id in (
    select i.user_id from auth.identities i where i.email = $1 and i.provider not like 'sso:%'
    union all
    select o.id from auth.users o where o.email = $1 and o.is_sso_user = false)
limit 1
