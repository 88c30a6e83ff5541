-- Functions of the exposed schemas, a row each.
-- $1 names of the exposed schemas
select json_build_array(
    n.nspname,
    p.proname,
    obj_description(p.oid, 'pg_proc'),
    (
        select coalesce(json_agg(json_build_array(
            coalesce(i.name, ''), i.type_id::regtype::text, i.place <= p.pronargs - p.pronargdefaults, i.mode = 'v'
        ) order by i.place), '[]')
        from (
            select u.name, u.type_id, coalesce(u.mode, 'i') as mode, row_number() over (order by u.place) as place
            from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
                with ordinality u (type_id, name, mode, place)
            where coalesce(u.mode, 'i') in ('i', 'b', 'v')
        ) i
    ),
    rn.nspname,
    coalesce(row_of.relname, rt.typname),
    p.proretset,
    rt.typtype = 'c' or coalesce(p.proargmodes && '{t,b,o}'::"char"[], false),
    declared.typtype = 'd',
    p.provolatile,
    p.provariadic <> 0,
    p.proconfig,
    p.oid::bigint
)
from pg_namespace n
join pg_depend d
    on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
    and d.classid = 'pg_proc'::regclass and d.objsubid = 0
join pg_proc p on p.oid = d.objid
join pg_type declared on declared.oid = p.prorettype
cross join lateral (
    select case when declared.typtype <> 'd' then declared.oid else (
        with recursive chain (id, under) as (
            select declared.oid, declared.typbasetype
            union all
            select b.oid, b.typbasetype from chain join pg_type b on b.oid = chain.under
        )
        select chain.id from chain where chain.under = 0
    ) end as id
    offset 0
) base
join pg_type rt on rt.oid = base.id
join pg_namespace rn on rn.oid = rt.typnamespace
left join pg_class row_of on row_of.oid = rt.typrelid
where n.nspname = any ($1::text[])
    and p.prokind = 'f'
    and rt.oid not in ('trigger'::regtype, 'event_trigger'::regtype)
