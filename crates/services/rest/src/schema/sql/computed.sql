-- Functions of the exposed schemas that lead from one relation's rows to another's, a row each.
-- $1 names of the exposed schemas
select json_build_array(
    n.nspname, p.proname, fn.nspname, f.relname, tn.nspname, t.relname, not p.proretset or p.prorows = 1
)
from pg_namespace n
join pg_depend d
    on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
    and d.classid = 'pg_proc'::regclass and d.objsubid = 0
join pg_proc p on p.oid = d.objid
join pg_type ft on ft.oid = p.proargtypes[0]
join pg_class f on f.oid = ft.typrelid and f.relkind in ('r', 'v', 'm', 'f', 'p')
join pg_namespace fn on fn.oid = f.relnamespace
join pg_type tt on tt.oid = p.prorettype
join pg_class t on t.oid = tt.typrelid and t.relkind in ('r', 'v', 'm', 'f', 'p')
join pg_namespace tn on tn.oid = t.relnamespace
where n.nspname = any ($1::text[]) and p.pronargs = 1
