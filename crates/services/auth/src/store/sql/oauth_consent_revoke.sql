-- $1 user, $2 client, $3 now
update auth.oauth_consents set revoked_at = greatest($3::timestamptz, granted_at)
where user_id = $1 and client_id = $2 and revoked_at is null
returning id
