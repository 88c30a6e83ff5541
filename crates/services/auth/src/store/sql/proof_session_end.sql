-- $1 flow: when the session must end that it leads to
select to_jsonb(p.session_end) from rowhouse.spent_proofs p where p.flow_id = $1 and p.session_end is not null
