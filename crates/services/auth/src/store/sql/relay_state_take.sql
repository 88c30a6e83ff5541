-- $1 id: gone for everybody else, however many try; with the flow that it belongs to
delete from auth.saml_relay_states r where r.id = $1
returning to_jsonb(r) || jsonb_build_object('flow', (select to_jsonb(f) from auth.flow_state f where f.id = r.flow_state_id))
