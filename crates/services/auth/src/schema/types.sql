-- The enumerated types.
set role supabase_auth_admin;

do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('aal_level', array['aal1', 'aal2', 'aal3']),
      ('code_challenge_method', array['s256', 'plain']),
      ('factor_status', array['unverified', 'verified']),
      ('factor_type', array['totp', 'webauthn', 'phone']),
      ('oauth_authorization_status', array['pending', 'approved', 'denied', 'expired']),
      ('oauth_client_type', array['public', 'confidential']),
      ('oauth_registration_type', array['dynamic', 'manual']),
      ('oauth_response_type', array['code']),
      ('one_time_token_type', array[
        'confirmation_token', 'reauthentication_token', 'recovery_token',
        'email_change_token_new', 'email_change_token_current', 'phone_change_token'])
    ) as t (name, labels)
    where not exists (
      select from pg_type where typnamespace = 'auth'::regnamespace and typname = t.name)
  loop
    execute format('create type auth.%I as enum (%s)', wanted.name,
      (select string_agg(quote_literal(label), ', ' order by n)
       from unnest(wanted.labels) with ordinality as u (label, n)));
  end loop;
end
$$;
