-- $1 id, $2 now
update auth.mfa_factors set last_challenged_at = $2, updated_at = $2 where id = $1
