-- $1 code, $2 client: of several who exchange a code one gets the row
delete from auth.oauth_authorizations a
where a.authorization_code = $1 and a.client_id = $2 and a.status = 'approved'
