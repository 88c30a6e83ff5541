-- $1 fields of the payload to search, $2 pattern (or null), $3 limit, $4 offset
select jsonb_build_object('id', e.id, 'payload', e.payload, 'created_at', e.created_at, 'ip_address', e.ip_address)
from auth.audit_log_entries e
where $2::text is null
  or exists (select from unnest($1::text[]) as f (name) where e.payload ->> f.name ilike $2)
order by e.created_at desc, e.id
limit $3 offset $4
