-- $1 id, $2 resource (or null), $3 disabled (or null), $4 now
update auth.sso_providers set resource_id = $2, disabled = $3, updated_at = $4 where id = $1
