-- $1 type (or null)
select to_jsonb(p) from auth.custom_oauth_providers p
where $1::text is null or p.provider_type = $1
order by p.created_at desc, p.id
limit 1000
