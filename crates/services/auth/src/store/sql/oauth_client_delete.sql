-- $1 id, $2 now
update auth.oauth_clients set deleted_at = $2, updated_at = $2 where id = $1 and deleted_at is null
