-- $1 id, $2 hash, $3 now
update auth.oauth_clients c set client_secret_hash = $2, updated_at = $3
where c.id = $1 and c.deleted_at is null and c.client_type = 'confidential'
returning to_jsonb(c)
