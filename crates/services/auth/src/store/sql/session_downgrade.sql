-- $1 user, $2 factor, $3 now: sessions that were raised by this factor
update auth.sessions set aal = 'aal1', factor_id = null, updated_at = $3 where user_id = $1 and factor_id = $2
