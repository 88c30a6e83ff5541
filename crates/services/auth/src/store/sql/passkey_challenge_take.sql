-- $1 id, $2 what for, $3 user (or null)
delete from auth.webauthn_challenges c
where c.id = $1 and c.challenge_type = $2 and c.user_id is not distinct from $3::uuid
returning to_jsonb(c)
