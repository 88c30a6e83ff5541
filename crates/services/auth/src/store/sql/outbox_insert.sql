-- $1 channel, $2 kind, $3 recipient, $4 user, $5 data, $6 now, $7 when it is no use any more
insert into rowhouse.mail_outbox (channel, kind, recipient, user_id, data, created_at, next_attempt_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $6, $7)
