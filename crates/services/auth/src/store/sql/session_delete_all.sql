-- $1 user, $2 the session that stays (or null)
delete from auth.sessions where user_id = $1 and id is distinct from $2::uuid
