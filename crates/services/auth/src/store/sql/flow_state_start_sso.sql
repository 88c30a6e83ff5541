-- $1 id, $2 code, $3 challenge, $4 its method, $5 where it ends, $6 now
insert into auth.flow_state (
  id, auth_code, code_challenge, code_challenge_method, provider_type, referrer, authentication_method,
  created_at, updated_at)
values ($1, $2, $3, $4, 'sso/saml', $5, 'sso/saml', $6, $6)
