-- $1 id, $2 now, $3 what its code was
update auth.mfa_challenges set verified_at = $2, otp_code = $3 where id = $1
