-- as custom_provider_insert.sql, without $24; type and identifier never change
update auth.custom_oauth_providers p
set name = $4, client_id = $5, client_secret = $6,
  acceptable_client_ids = array(select jsonb_array_elements_text($7::jsonb)),
  scopes = array(select jsonb_array_elements_text($8::jsonb)), pkce_enabled = $9, attribute_mapping = $10::jsonb,
  authorization_params = $11::jsonb, enabled = $12, email_optional = $13, issuer = $14, discovery_url = $15,
  skip_nonce_check = $16, cached_discovery = $17::jsonb,
  discovery_cached_at = case when $17 is null then null else $23::timestamptz end,
  authorization_url = $18, token_url = $19, userinfo_url = $20, jwks_uri = $21,
  custom_claims_allowlist = array(select jsonb_array_elements_text($22::jsonb)), updated_at = $23
where p.id = $1 and p.provider_type = $2 and p.identifier = $3
returning to_jsonb(p)
