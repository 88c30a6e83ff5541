-- $1 provider, $2 metadata, $3 where they are from (or null), $4 attribute mapping, $5 format of names (or null),
-- $6 when the metadata were read
update auth.saml_providers
set metadata_xml = $2, metadata_url = $3, attribute_mapping = $4, name_id_format = $5, updated_at = $6
where sso_provider_id = $1
