-- Keys of every relation that an exposed relation may stand for: the relations of the exposed schemas and,
-- through the definitions of views, those beneath them, wherever they are. A row each: its keys and, for a
-- view whose columns may be traced, its definition as PostgreSQL stores it.
-- $1 names of the exposed schemas
-- $2 names of further schemas whose views are traced
with recursive
traced as materialized (
    select array_agg(oid) as ids from pg_namespace where nspname = any ($1::text[] || $2::text[])
),
reach (id, name, kind, schema_id) as (
    select c.oid, c.relname, c.relkind, c.relnamespace
    from pg_namespace n
    join pg_depend d
        on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
        and d.classid = 'pg_class'::regclass and d.objsubid = 0
    join pg_class c on c.oid = d.objid
    where n.nspname = any ($1::text[]) and c.relkind in ('r', 'v', 'm', 'f', 'p')
    union
    select c.oid, c.relname, c.relkind, c.relnamespace
    from reach v
    join pg_rewrite w on w.ev_class = v.id
    join pg_depend d
        on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
        and d.refclassid = 'pg_class'::regclass
    join pg_class c on c.oid = d.refobjid
    where v.kind in ('v', 'm')
        and v.schema_id = any ((select ids from traced)::oid[])
        and c.relkind in ('r', 'v', 'm', 'f', 'p')
)
select
    json_build_array(
        r.id::bigint,
        (select n.nspname from pg_namespace n where n.oid = r.schema_id),
        r.name,
        r.kind in ('v', 'm'),
        coalesce((
            select json_agg(json_build_array(
                k.contype,
                k.conname,
                k.conkey,
                -- Most keys have one column: a simple look-up halves the time.
                case when cardinality(k.conkey) = 1 then (
                    select json_build_array(a.attname) from pg_attribute a
                    where a.attrelid = k.conrelid and a.attnum = k.conkey[1]
                ) else (
                    select json_agg(a.attname order by u.place)
                    from unnest(k.conkey) with ordinality u (number, place)
                    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number
                ) end,
                k.confrelid::bigint,
                k.confkey,
                case when cardinality(k.confkey) = 1 then (
                    select json_build_array(a.attname) from pg_attribute a
                    where a.attrelid = k.confrelid and a.attnum = k.confkey[1]
                ) else (
                    select json_agg(a.attname order by u.place)
                    from unnest(k.confkey) with ordinality u (number, place)
                    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.number
                ) end
            ))
            from pg_constraint k
            where k.conrelid = r.id and k.contype in ('p', 'u', 'f')
                and (k.contype <> 'f' or k.conparentid = 0)
        ), '[]')
    ),
    case when r.kind in ('v', 'm') and r.schema_id = any ((select ids from traced)::oid[]) then (
        select w.ev_action::text from pg_rewrite w where w.ev_class = r.id and w.ev_type = '1'
    ) end
from reach r
