-- $1 id
select to_jsonb(c) from auth.oauth_clients c where c.id = $1 and c.deleted_at is null
