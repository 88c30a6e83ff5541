-- $1 id, $2 credential, $3 kind of authenticator (or null), $4 how it was used, $5 now
update auth.mfa_factors
set web_authn_credential = $2::jsonb, web_authn_aaguid = coalesce($3::uuid, web_authn_aaguid),
  last_webauthn_challenge_data = $4::jsonb, updated_at = $5
where id = $1
