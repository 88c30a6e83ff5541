-- $1 id, $2 counter, $3 is backed up, $4 now
update auth.webauthn_credentials p
set sign_count = $2::bigint, backed_up = $3, last_used_at = $4, updated_at = $4
where p.id = $1 and (p.sign_count < $2::bigint or (p.sign_count = 0 and $2::bigint = 0))
returning p.id
