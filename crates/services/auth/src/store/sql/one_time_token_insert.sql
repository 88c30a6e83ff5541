-- $1 id, $2 user, $3 type, $4 hash, $5 address it went to, $6 now
insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
values ($1, $2, $3, $4, $5, timezone('utc', $6::timestamptz), timezone('utc', $6::timestamptz))
