-- $1 fields of the payload to search, $2 pattern (or null)
select count(*)
from auth.audit_log_entries e
where $2::text is null
  or exists (select from unnest($1::text[]) as f (name) where e.payload ->> f.name ilike $2)
