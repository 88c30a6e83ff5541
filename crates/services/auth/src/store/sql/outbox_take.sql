-- The messages that this very transaction has written, with the user as the API shows them. $1 channels
with taken as (
  delete from rowhouse.mail_outbox
  where xmin = pg_current_xact_id()::xid and channel = any ($1::text[])
  returning *
)
select jsonb_build_object(
  'id', t.id, 'channel', t.channel, 'kind', t.kind, 'recipient', t.recipient, 'user_id', t.user_id, 'data', t.data)
from taken t
order by t.id
