-- $1 id
select to_jsonb(f) from auth.flow_state f where f.id = $1
