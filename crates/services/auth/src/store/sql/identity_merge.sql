-- $1 user, $2 provider, $3 data to merge, $4 now: the user's own identity at this provider
update auth.identities set identity_data = identity_data || $3::jsonb, updated_at = $4
where user_id = $1 and provider = $2 and provider_id = $1::uuid::text
