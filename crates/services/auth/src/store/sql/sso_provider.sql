select to_jsonb(p) || jsonb_build_object(
  'saml', (select to_jsonb(s) from auth.saml_providers s where s.sso_provider_id = p.id limit 1),
  'domains', (
    select coalesce(jsonb_agg(to_jsonb(d) order by d.created_at, d.domain), '[]'::jsonb)
    from auth.sso_domains d where d.sso_provider_id = p.id))
from auth.sso_providers p
