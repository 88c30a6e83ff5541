-- $1 token, $2 user, $3 session, $4 parent, $5 now
insert into auth.refresh_tokens (instance_id, token, user_id, session_id, parent, revoked, created_at, updated_at)
values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4, false, $5, $5)
