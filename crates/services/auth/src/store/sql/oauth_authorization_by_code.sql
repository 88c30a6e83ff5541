-- $1 code
select to_jsonb(a) from auth.oauth_authorizations a where a.authorization_code = $1 and a.status = 'approved'
