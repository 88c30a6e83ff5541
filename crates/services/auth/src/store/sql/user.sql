select to_jsonb(u) || jsonb_build_object(
  'identities', (
    select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]'::jsonb)
    from auth.identities i where i.user_id = u.id),
  'factors', (
    select coalesce(jsonb_agg(to_jsonb(f) order by f.created_at, f.id), '[]'::jsonb)
    from auth.mfa_factors f where f.user_id = u.id))
from auth.users u
