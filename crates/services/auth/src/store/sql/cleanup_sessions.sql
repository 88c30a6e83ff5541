-- $1 before when
delete from auth.sessions where id in (
  select s.id from auth.sessions s where s.not_after < $1 limit 100 for update skip locked)
