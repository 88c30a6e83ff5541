-- Relations that `anon` may read and that ask no policy. $1 the only schema to look at, or null for all that are the
-- project's own.
select jsonb_build_object(
  'schema', n.nspname,
  'name', c.relname,
  'reason', case when c.relkind in ('v', 'm') then 'security_definer_view' else 'rls_disabled' end)
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'v', 'm')
  and not c.relispartition
  and (n.nspname = $1::text or ($1::text is null and n.nspname not in (
    'pg_catalog', 'information_schema', 'auth', 'storage', 'realtime', 'extensions', 'graphql_public', 'rowhouse')))
  and has_schema_privilege('anon', n.oid, 'usage')
  and (has_table_privilege('anon', c.oid, 'select') or has_any_column_privilege('anon', c.oid, 'select'))
  and not (c.relkind in ('r', 'p') and c.relrowsecurity)
  and not (c.relkind = 'v' and exists (
    select from pg_options_to_table(c.reloptions)
    where option_name = 'security_invoker' and option_value in ('true', 'on', '1', 'yes')))
  -- What an extension brings is not the project's.
  and not exists (
    select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')
order by n.nspname, c.relname
