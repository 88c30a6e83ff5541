-- $1 user, $2 type (or null for all)
delete from auth.one_time_tokens where user_id = $1 and ($2::auth.one_time_token_type is null or token_type = $2)
