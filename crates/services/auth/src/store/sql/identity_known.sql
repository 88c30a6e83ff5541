-- $1 provider, $2 subjects: the one that is known
select i.provider_id from auth.identities i
where i.provider = $1 and i.provider_id in (select jsonb_array_elements_text($2::jsonb)) order by i.created_at limit 1
