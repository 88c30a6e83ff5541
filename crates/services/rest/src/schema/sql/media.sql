-- Functions and aggregates of the exposed schemas whose result is a domain named like a media type, a row each.
-- $1 names of the exposed schemas
select json_build_array(
    n.nspname, p.proname, p.prokind = 'a', m.typname, mn.nspname,
    case
        when p.prokind = 'a' and argument.oid <> 'anyelement'::regtype then json_build_array(an.nspname, argument.typname)
    end
)
from pg_namespace n
join pg_depend d
    on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
    and d.classid = 'pg_proc'::regclass and d.objsubid = 0
join pg_proc p on p.oid = d.objid
join pg_type m on m.oid = p.prorettype and m.typtype = 'd'
join pg_namespace mn on mn.oid = m.typnamespace
left join pg_type argument on argument.oid = p.proargtypes[0]
left join pg_namespace an on an.oid = argument.typnamespace
left join pg_class row_of on row_of.oid = argument.typrelid and row_of.relkind in ('r', 'v', 'm', 'f', 'p')
where n.nspname = any ($1::text[])
    and (m.typname = '*/*' or m.typname ~* '^[a-z0-9.-]+/[a-z0-9.+-]+$')
    and (
        p.prokind = 'f' and not p.proretset
        or p.prokind = 'a' and p.pronargs = 1
            and (argument.oid = 'anyelement'::regtype or row_of.oid is not null)
    )
