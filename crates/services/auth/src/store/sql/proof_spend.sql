-- $1 proof, $2 until when it must not be used again, $3 flow (or null), $4 end of the flow's session (or null):
-- a row for whoever is first
insert into rowhouse.spent_proofs (proof, spent_until, flow_id, session_end) values ($1, $2, $3, $4)
on conflict do nothing
returning proof
