-- $1 id, $2 when it ends
update auth.sessions set not_after = $2 where id = $1
