-- Keeps a message that was not sent, without what it said. $1 id, $2 now, $3 why
update rowhouse.mail_outbox set failed_at = $2, reason = $3, data = '{}' where id = $1
