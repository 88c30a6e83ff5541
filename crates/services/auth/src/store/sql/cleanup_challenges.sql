-- $1 before when
delete from auth.mfa_challenges where id in (
  select c.id from auth.mfa_challenges c where c.created_at < $1 limit 100 for update skip locked)
