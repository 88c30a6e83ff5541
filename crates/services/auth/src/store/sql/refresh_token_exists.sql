-- $1 token: whether it and its session exist, locked or not
select count(*), count(s.id)
from auth.refresh_tokens t left join auth.sessions s on s.id = t.session_id
where t.token = $1
