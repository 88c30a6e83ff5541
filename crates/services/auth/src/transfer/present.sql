-- $1 rows: the ids of those who are there
select u.id::text from auth.users u
where u.id in (select (g ->> 'id')::uuid from jsonb_array_elements($1::jsonb) g)
