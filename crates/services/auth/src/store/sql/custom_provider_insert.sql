-- $1 id, $2 type, $3 identifier, $4 name, $5 client id, $6 secret, $7 acceptable client ids, $8 scopes, $9 PKCE,
-- $10 attribute mapping, $11 authorization parameters, $12 enabled, $13 address optional, $14 issuer,
-- $15 discovery address, $16 skip the nonce check, $17 discovery document, $18 to $21 addresses, $22 claims to keep,
-- $23 now, $24 how many there may be
insert into auth.custom_oauth_providers (
  id, provider_type, identifier, name, client_id, client_secret, acceptable_client_ids, scopes, pkce_enabled,
  attribute_mapping, authorization_params, enabled, email_optional, issuer, discovery_url, skip_nonce_check,
  cached_discovery, discovery_cached_at, authorization_url, token_url, userinfo_url, jwks_uri,
  custom_claims_allowlist, created_at, updated_at)
select
  $1, $2, $3, $4, $5, $6, array(select jsonb_array_elements_text($7::jsonb)),
  array(select jsonb_array_elements_text($8::jsonb)), $9, $10::jsonb, $11::jsonb, $12, $13, $14, $15, $16,
  $17::jsonb, case when $17 is null then null else $23::timestamptz end, $18, $19, $20, $21,
  array(select jsonb_array_elements_text($22::jsonb)), $23, $23
where $24::bigint = 0 or (select count(*) from auth.custom_oauth_providers) < $24::bigint
returning to_jsonb(custom_oauth_providers)
