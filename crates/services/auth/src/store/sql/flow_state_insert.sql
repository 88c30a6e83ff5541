-- $1 id, $2 user, $3 code, $4 challenge, $5 method of the challenge, $6 provider, $7 authentication method, $8 now
insert into auth.flow_state (
  id, user_id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method,
  created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
