-- $1 audience, $2 filter (or null)
select count(*) from auth.users u
where u.aud = $1 and ($2::text is null or u.email like $2 or u.raw_user_meta_data ->> 'full_name' ilike $2)
