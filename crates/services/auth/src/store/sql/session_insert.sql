-- $1 id, $2 user, $3 now, $4 user agent, $5 address (or null), $6 OAuth client (or null), $7 scopes (or null),
-- $8 key of signed refresh tokens (or null)
insert into auth.sessions (
  id, user_id, created_at, updated_at, aal, user_agent, ip, oauth_client_id, scopes,
  refresh_token_hmac_key, refresh_token_counter)
values ($1, $2, $3, $3, 'aal1', nullif($4, ''), $5, $6, $7, $8::text, case when $8::text is not null then 0 end)
