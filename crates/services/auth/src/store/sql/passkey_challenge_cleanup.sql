-- $1 before when: challenges that nobody answered, some at a time
delete from auth.webauthn_challenges where id in (
  select c.id from auth.webauthn_challenges c where c.expires_at < $1 limit 20 for update skip locked)
