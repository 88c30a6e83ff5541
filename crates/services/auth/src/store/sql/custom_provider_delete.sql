-- $1 identifier
delete from auth.custom_oauth_providers p where p.identifier = $1 returning p.id
