-- What waits and what was not sent, the newest first; never what the messages say. $1 how many
select jsonb_build_object(
  'id', o.id, 'created_at', o.created_at, 'channel', o.channel, 'kind', o.kind, 'recipient', o.recipient,
  'user_id', o.user_id, 'attempts', o.attempts,
  'next_attempt_at', case when o.failed_at is null then o.next_attempt_at end,
  'expires_at', o.expires_at, 'failed_at', o.failed_at, 'reason', o.reason)
from rowhouse.mail_outbox o
order by o.id desc
limit $1
