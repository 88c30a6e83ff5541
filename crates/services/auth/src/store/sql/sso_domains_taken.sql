-- $1 domains in lower case, $2 the provider that may have them (or null)
select to_jsonb(d) from auth.sso_domains d
where lower(d.domain) in (select jsonb_array_elements_text($1::jsonb)) and d.sso_provider_id is distinct from $2::uuid
order by d.domain limit 1
