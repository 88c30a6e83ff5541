-- $1 user
select s.id from auth.sessions s where s.user_id = $1 order by s.id for update
