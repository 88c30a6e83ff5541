-- $1 id, $2 code, $3 challenge, $4 its method, $5 provider, $6 invitation, $7 where it ends, $8 client state,
-- $9 account to link to, $10 whether people without an address are welcome, $11 now
insert into auth.flow_state (
  id, auth_code, code_challenge, code_challenge_method, provider_type, invite_token, referrer,
  oauth_client_state_id, linking_target_id, email_optional, authentication_method, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'oauth', $11, $11)
