-- $1 refresh token: its session, unless another transaction holds it
select to_jsonb(s) || jsonb_build_object('amr', (
  select coalesce(jsonb_agg(to_jsonb(a) order by a.updated_at desc), '[]'::jsonb)
  from auth.mfa_amr_claims a where a.session_id = s.id))
from auth.sessions s
where s.id = (select t.session_id from auth.refresh_tokens t where t.token = $1)
for no key update of s skip locked
