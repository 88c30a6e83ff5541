-- Forgets messages that were not sent: old ones, and those beyond a number. $1 older than, $2 how many are kept
delete from rowhouse.mail_outbox o
where o.failed_at is not null
  and (o.failed_at < $1 or o.id in (
    select k.id from rowhouse.mail_outbox k
    where k.failed_at is not null
    order by k.failed_at desc, k.id desc
    offset $2))
