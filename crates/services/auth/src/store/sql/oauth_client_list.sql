select to_jsonb(c) from auth.oauth_clients c where c.deleted_at is null order by c.created_at desc, c.id limit 1000
