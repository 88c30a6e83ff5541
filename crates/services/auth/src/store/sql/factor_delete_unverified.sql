-- $1 user, $2 type
delete from auth.mfa_factors where user_id = $1 and factor_type = $2 and status = 'unverified'
