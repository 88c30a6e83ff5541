-- $1 id, $2 how it ended
update auth.oauth_authorizations set status = $2::auth.oauth_authorization_status where id = $1
