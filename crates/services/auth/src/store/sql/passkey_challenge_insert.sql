-- $1 id, $2 what for, $3 user (or null), $4 data, $5 now, $6 until when
insert into auth.webauthn_challenges (id, challenge_type, user_id, session_data, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6)
