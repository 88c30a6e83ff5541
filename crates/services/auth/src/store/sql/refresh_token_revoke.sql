-- $1 token, $2 now. A token that was revoked before keeps the time of that: the reuse interval does not move.
update auth.refresh_tokens set revoked = true, updated_at = $2 where token = $1 and revoked = false
