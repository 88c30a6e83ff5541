-- $1 id, $2 audience, $3 role, $4 email, $5 phone, $6 password hash, $7 app metadata, $8 user metadata,
-- $9 anonymous, $10 now, $11 whether the address need not be unique
insert into auth.users (
  instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data, raw_user_meta_data,
  is_anonymous, created_at, updated_at, is_sso_user,
  confirmation_token, recovery_token, email_change_token_new, email_change)
values (
  '00000000-0000-0000-0000-000000000000', $1, $2, $3, nullif($4, ''), nullif($5, ''), $6, $7, $8,
  $9, $10, $10, $11,
  '', '', '', '')
