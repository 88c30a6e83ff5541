-- $1 id, $2 provider, $3 entity, $4 metadata, $5 where they are from (or null), $6 attribute mapping,
-- $7 format of names (or null), $8 now
insert into auth.saml_providers (
  id, sso_provider_id, entity_id, metadata_xml, metadata_url, attribute_mapping, name_id_format, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
