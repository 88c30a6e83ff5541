-- $1 id, $2 user
delete from auth.mfa_factors where id = $1 and user_id = $2
