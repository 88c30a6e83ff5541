select to_jsonb(s) || jsonb_build_object('amr', (
  select coalesce(jsonb_agg(to_jsonb(a) order by a.updated_at desc), '[]'::jsonb)
  from auth.mfa_amr_claims a where a.session_id = s.id))
from auth.sessions s
