-- $1 user, $2 authentication method, $3 code, $4 now: gives the user's newest flow of this method its code
update auth.flow_state set auth_code = $3, auth_code_issued_at = $4, updated_at = $4
where id = (
  select f.id from auth.flow_state f
  where f.user_id = $1 and f.authentication_method = $2
  order by f.created_at desc limit 1)
returning id
