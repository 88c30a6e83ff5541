-- $1 id
delete from rowhouse.mail_outbox where id = $1
