-- $1 id, $2 public id, $3 client, $4 redirect, $5 scopes, $6 state, $7 resource, $8 challenge, $9 its method,
-- $10 nonce, $11 now, $12 end
insert into auth.oauth_authorizations (
  id, authorization_id, client_id, redirect_uri, scope, state, resource, code_challenge, code_challenge_method,
  nonce, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
