-- $1 id, $2 now, $3 user agent, $4 address (or null)
update auth.sessions
set refreshed_at = timezone('utc', $2::timestamptz), updated_at = $2, user_agent = nullif($3, ''), ip = $4
where id = $1
