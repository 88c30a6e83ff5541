-- $1 identifier
select to_jsonb(p) from auth.custom_oauth_providers p where p.identifier = $1
