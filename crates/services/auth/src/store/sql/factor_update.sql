-- $1 id, $2 friendly name (or null), $3 phone (or null), $4 now
update auth.mfa_factors
set friendly_name = coalesce($2, friendly_name), phone = coalesce($3, phone), updated_at = $4
where id = $1
