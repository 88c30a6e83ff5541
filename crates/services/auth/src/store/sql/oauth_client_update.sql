-- $1 id, $2 now, $3 redirects, $4 grants, $5 name, $6 page, $7 logo, $8 way to show the secret
update auth.oauth_clients c
set updated_at = $2, redirect_uris = $3, grant_types = $4, client_name = $5, client_uri = $6, logo_uri = $7,
  token_endpoint_auth_method = $8
where c.id = $1 and c.deleted_at is null
returning to_jsonb(c)
