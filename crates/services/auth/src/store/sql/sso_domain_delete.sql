-- $1 provider, $2 the domains that stay, in lower case
delete from auth.sso_domains where sso_provider_id = $1 and lower(domain) not in (select jsonb_array_elements_text($2::jsonb))
