-- $1 code
select to_jsonb(f) from auth.flow_state f where f.auth_code = $1
