-- The messages that are due, claimed for whoever asks, with what is known of their users. A message whose code is no
-- longer the user's newest is of no use. $1 channel, $2 now, $3 end of the claim, $4 how many
with due as (
  select o.id
  from rowhouse.mail_outbox o
  where o.channel = $1 and o.failed_at is null and o.next_attempt_at <= $2
  order by o.next_attempt_at
  limit $4
  for update skip locked
), claimed as (
  update rowhouse.mail_outbox o
  set attempts = o.attempts + 1, next_attempt_at = $3
  from due
  where o.id = due.id
  returning o.*
)
select jsonb_build_object(
  'id', c.id, 'created_at', c.created_at, 'kind', c.kind, 'recipient', c.recipient, 'user_id', c.user_id,
  'data', c.data, 'attempts', c.attempts, 'expires_at', c.expires_at,
  'is_current', not (c.data ? 'token_hash') or exists (
    select from auth.one_time_tokens t
    where t.user_id = c.user_id and t.token_hash = c.data ->> 'token_hash'),
  'user', (
    select jsonb_build_object('email', u.email, 'phone', u.phone, 'data', u.raw_user_meta_data)
    from auth.users u
    where u.id = c.user_id))
from claimed c
order by c.id
