-- $1 before when
delete from rowhouse.spent_proofs where proof in (
  select p.proof from rowhouse.spent_proofs p where p.spent_until < $1 limit 100 for update skip locked)
