-- $1 id, $2 user, $3 client, $4 scopes, $5 now
insert into auth.oauth_consents (id, user_id, client_id, scopes, granted_at) values ($1, $2, $3, $4, $5)
on conflict on constraint oauth_consents_user_client_unique
do update set scopes = excluded.scopes, granted_at = excluded.granted_at, revoked_at = null
