-- What of a schema the current role may use: names of relations, oids of functions.
-- $1 the schema
select json_build_array(
    (
        select coalesce(json_agg(c.relname), '[]')
        from pg_catalog.pg_depend d
        join pg_catalog.pg_class c on c.oid = d.objid
        where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = n.oid
            and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid = 0
            and c.relkind in ('r', 'v', 'm', 'f', 'p')
            and (
                pg_catalog.pg_has_role(c.relowner, 'USAGE')
                or pg_catalog.has_table_privilege(
                    c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'
                )
                or pg_catalog.has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
            )
    ),
    (
        select coalesce(json_agg(p.oid::bigint), '[]')
        from pg_catalog.pg_depend d
        join pg_catalog.pg_proc p on p.oid = d.objid
        where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = n.oid
            and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objsubid = 0
            and pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
    )
)
from pg_catalog.pg_namespace n
where n.nspname = $1::text
