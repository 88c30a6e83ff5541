-- $1 session: its newest token that is not revoked
select to_jsonb(a) from auth.refresh_tokens a
where a.session_id = $1 and a.revoked = false
order by a.id desc
limit 1
