-- $1 id after which (or null), $2 how many
select jsonb_strip_nulls(jsonb_build_object(
  'id', u.id, 'aud', u.aud, 'role', u.role, 'email', u.email, 'phone', u.phone,
  'password_hash', nullif(u.encrypted_password, ''),
  'email_confirmed_at', u.email_confirmed_at, 'phone_confirmed_at', u.phone_confirmed_at,
  'invited_at', u.invited_at, 'last_sign_in_at', u.last_sign_in_at, 'banned_until', u.banned_until,
  'is_sso_user', u.is_sso_user, 'is_anonymous', u.is_anonymous,
  'created_at', u.created_at, 'updated_at', u.updated_at)) || jsonb_build_object(
  'user_metadata', coalesce(nullif(u.raw_user_meta_data, 'null'), '{}'::jsonb),
  'app_metadata', coalesce(nullif(u.raw_app_meta_data, 'null'), '{}'::jsonb),
  'identities', (
    select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'provider', i.provider, 'provider_id', i.provider_id, 'identity_data', i.identity_data,
      'created_at', i.created_at, 'updated_at', i.updated_at, 'last_sign_in_at', i.last_sign_in_at))
      order by i.created_at, i.id), '[]'::jsonb)
    from auth.identities i where i.user_id = u.id))
from auth.users u
where u.deleted_at is null and ($1::uuid is null or u.id > $1::uuid)
order by u.id
limit $2::bigint
