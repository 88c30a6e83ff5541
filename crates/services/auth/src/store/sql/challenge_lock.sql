-- $1 id, $2 factor
select to_jsonb(c) || jsonb_build_object('used', (
  select coalesce(jsonb_agg(o.otp_code), '[]'::jsonb)
  from auth.mfa_challenges o where o.factor_id = c.factor_id and o.verified_at is not null and o.otp_code is not null))
from auth.mfa_challenges c
where c.id = $1 and c.factor_id = $2
for update of c
