-- $1 id
delete from auth.users where id = $1
