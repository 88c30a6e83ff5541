-- When the next message is due. $1 channel
select to_jsonb(min(o.next_attempt_at))
from rowhouse.mail_outbox o
where o.channel = $1 and o.failed_at is null
