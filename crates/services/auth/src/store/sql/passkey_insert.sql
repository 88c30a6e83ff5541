-- $1 id, $2 user, $3 credential, $4 public key, $5 attestation, $6 kind of authenticator, $7 counter, $8 transports,
-- $9 can be backed up, $10 is backed up, $11 name, $12 now, $13 how many the user may have
insert into auth.webauthn_credentials as p (
  id, user_id, credential_id, public_key, attestation_type, aaguid, sign_count, transports, backup_eligible,
  backed_up, friendly_name, created_at, updated_at)
select $1::uuid, $2::uuid, $3::bytea, $4::bytea, $5, $6::uuid, $7::bigint, $8::jsonb, $9::boolean,
  $10::boolean, $11, $12::timestamptz, $12::timestamptz
where (select count(*) from auth.webauthn_credentials o where o.user_id = $2::uuid) < $13::bigint
returning to_jsonb(p)
