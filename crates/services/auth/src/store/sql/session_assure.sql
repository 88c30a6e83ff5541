-- $1 id, $2 level, $3 factor, $4 now
update auth.sessions set aal = $2::auth.aal_level, factor_id = $3, updated_at = $4 where id = $1
