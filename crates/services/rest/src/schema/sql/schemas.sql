-- The exposed schemas that exist.
-- $1 names of the exposed schemas
select json_build_array(n.nspname, obj_description(n.oid, 'pg_namespace'))
from pg_namespace n
where n.nspname = any ($1::text[])
