-- $1 id, $2 factor, $3 address, $4 code (or null), $5 now
insert into auth.mfa_challenges (id, factor_id, ip_address, otp_code, created_at) values ($1, $2, $3, $4, $5)
