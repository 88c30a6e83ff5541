-- Relations of the exposed schemas with their columns, a row each.
--
-- What lives in a schema is found through pg_depend, whose index leads to a schema's few objects among
-- millions; pg_class has no index that starts with the schema.
-- $1 names of the exposed schemas
select json_build_array(
    n.nspname,
    c.relname,
    c.relkind,
    -- As obj_description and col_description, which are called, not inlined: a fifth of the time.
    (select x.description from pg_description x
        where x.objoid = c.oid and x.classoid = 'pg_class'::regclass and x.objsubid = 0),
    -- As pg_relation_is_updatable: 4 update, 8 insert, 16 delete.
    case
        when c.relkind in ('r', 'p') then 28
        when c.relkind in ('v', 'f') then pg_relation_is_updatable(c.oid, true)
        else 0
    end,
    c.oid::bigint,
    coalesce(cols.list, '[]')
)
from pg_namespace n
join pg_depend d
    on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid
    and d.classid = 'pg_class'::regclass and d.objsubid = 0
join pg_class c on c.oid = d.objid
cross join lateral (
    select json_agg(json_build_array(
        a.attnum,
        a.attname,
        (select x.description from pg_description x
            where x.objoid = a.attrelid and x.classoid = 'pg_class'::regclass and x.objsubid = a.attnum),
        not (a.attnotnull or t.typtype = 'd' and t.typnotnull),
        case
            when t.typtype = 'd' and bt.typnamespace = 'pg_catalog'::regnamespace then format_type(bt.oid, null)
            when t.typtype <> 'd' and t.typnamespace = 'pg_catalog'::regnamespace then format_type(t.oid, null)
            else format_type(a.atttypid, a.atttypmod)
        end,
        format_type(a.atttypid, a.atttypmod),
        case
            when true_type.id in (1042, 1043) and true_type.modifier > 4 then true_type.modifier - 4
            when true_type.id in (1560, 1562) and true_type.modifier >= 0 then true_type.modifier
        end,
        case
            when t.typtype = 'd' and ad.adbin is null then pg_get_expr(t.typdefaultbin, 0)
            when a.attidentity = 'd' then (
                select format('nextval(%L)', own.objid::regclass)
                from pg_depend own
                where own.refclassid = 'pg_class'::regclass and own.refobjid = a.attrelid
                    and own.refobjsubid = a.attnum and own.classid = 'pg_class'::regclass
                    and own.deptype = 'i'
                limit 1
            )
            when a.attgenerated = 's' then null
            else pg_get_expr(ad.adbin, ad.adrelid)
        end,
        case when bt.typtype = 'e' then (
            select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = bt.oid
        ) end,
        a.attgenerated <> '',
        a.attidentity <> ''
    ) order by a.attnum) as list
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    cross join lateral (
        select case when t.typtype <> 'd' then t.oid else (
            with recursive chain (id, under) as (
                select t.oid, t.typbasetype
                union all
                select b.oid, b.typbasetype from chain join pg_type b on b.oid = chain.under
            )
            select chain.id from chain where chain.under = 0
        ) end as id
        offset 0
    ) base
    cross join lateral (
        select
            case when t.typtype = 'd' then t.typbasetype else a.atttypid end as id,
            case when t.typtype = 'd' then t.typtypmod else a.atttypmod end as modifier
    ) true_type
    join pg_type bt on bt.oid = base.id
    left join pg_attrdef ad on ad.adrelid = a.attrelid and ad.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) cols
where n.nspname = any ($1::text[])
    and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and not c.relispartition
