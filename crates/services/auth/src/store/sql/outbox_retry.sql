-- $1 id, $2 when, $3 why it did not work
update rowhouse.mail_outbox set next_attempt_at = $2, reason = $3 where id = $1
