-- $1 token: the newest token of its session that is not revoked
select to_jsonb(a) from auth.refresh_tokens a
where a.session_id = (select t.session_id from auth.refresh_tokens t where t.token = $1) and a.revoked = false
order by a.id desc
limit 1
