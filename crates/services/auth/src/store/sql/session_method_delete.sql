-- $1 user, $2 factor, $3 method: forgets the method in sessions that were raised by this factor
delete from auth.mfa_amr_claims a using auth.sessions s
where a.session_id = s.id and s.user_id = $1 and s.factor_id = $2 and a.authentication_method = $3
