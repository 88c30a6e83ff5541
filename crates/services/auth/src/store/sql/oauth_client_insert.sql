-- $1 id, $2 now, $3 redirects, $4 grants, $5 name, $6 page, $7 logo, $8 way to show the secret, $9 kind,
-- $10 registration, $11 hash of the secret (or null)
insert into auth.oauth_clients (
  id, created_at, updated_at, redirect_uris, grant_types, client_name, client_uri, logo_uri,
  token_endpoint_auth_method, client_type, registration_type, client_secret_hash)
values ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
