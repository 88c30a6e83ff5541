-- $1 rows: makes those users, with their identities, whose id and addresses nobody has
with given as (
  select g, (g ->> 'id')::uuid as id from jsonb_array_elements($1::jsonb) g
), made as (
  insert into auth.users (
    instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data, raw_user_meta_data,
    email_confirmed_at, phone_confirmed_at, invited_at, last_sign_in_at, banned_until, is_sso_user, is_anonymous,
    created_at, updated_at, confirmation_token, recovery_token, email_change_token_new, email_change)
  select
    '00000000-0000-0000-0000-000000000000', id, coalesce(g ->> 'aud', 'authenticated'),
    coalesce(g ->> 'role', 'authenticated'), g ->> 'email', g ->> 'phone', coalesce(g ->> 'encrypted_password', ''),
    g -> 'raw_app_meta_data', g -> 'raw_user_meta_data',
    coalesce((g ->> 'email_confirmed_at')::timestamptz, case when (g ->> 'confirms_email')::boolean then now() end),
    coalesce((g ->> 'phone_confirmed_at')::timestamptz, case when (g ->> 'confirms_phone')::boolean then now() end),
    (g ->> 'invited_at')::timestamptz, (g ->> 'last_sign_in_at')::timestamptz, (g ->> 'banned_until')::timestamptz,
    coalesce((g ->> 'is_sso_user')::boolean, false), coalesce((g ->> 'is_anonymous')::boolean, false),
    coalesce((g ->> 'created_at')::timestamptz, now()), coalesce((g ->> 'updated_at')::timestamptz, now()),
    '', '', '', ''
  from given
  on conflict do nothing
  returning id
), identified as (
  insert into auth.identities (
    id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
  select
    gen_random_uuid(), i ->> 'provider_id', given.id, i -> 'identity_data', i ->> 'provider',
    (i ->> 'last_sign_in_at')::timestamptz, coalesce((i ->> 'created_at')::timestamptz, now()),
    coalesce((i ->> 'updated_at')::timestamptz, now())
  from given
  join made on made.id = given.id
  cross join jsonb_array_elements(given.g -> 'identities') i
  on conflict do nothing
)
select id::text from made
