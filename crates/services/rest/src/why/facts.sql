-- What decides about a role's access to relations and functions.
-- $1: the role's name. $2, $3: schemas and names of relations. $4, $5: those of functions. They are looked up as rows:
-- who asks need not have the right to use the schemas.
-- A view's tables are reached with the rights of its owner, unless it is a security invoker's.
with recursive role as (
  select oid, rolname, rolsuper, rolbypassrls, pg_has_role(session_user, oid, 'member') as assumable
  from pg_roles where rolname = $1
), reached (id, as_role, through) as (
  select c.oid, role.oid, null::oid
  from unnest($2::text[], $3::text[]) as wanted (schema, name)
    join pg_namespace as n on n.nspname = wanted.schema
    join pg_class as c on c.relname = wanted.name and c.relnamespace = n.oid
    cross join role
  union
  select d.refobjid,
    case when exists (select from pg_options_to_table(view.reloptions)
        where option_name = 'security_invoker' and option_value in ('true', 'on', 'yes', '1'))
      then reached.as_role else view.relowner end,
    view.oid
  from reached
    join pg_class as view on view.oid = reached.id and view.relkind = 'v'
    join pg_rewrite as r on r.ev_class = view.oid
    join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
      and d.refclassid = 'pg_class'::regclass and d.refobjid <> view.oid
), relations as (
  select distinct on (c.oid, reached.as_role) c.*, n.nspname, reached.as_role, reached.through, acting.rolname as acting,
    c.relrowsecurity and not acting.rolsuper and not acting.rolbypassrls
      and (c.relforcerowsecurity or not pg_has_role(acting.oid, c.relowner, 'usage')) as active
  from reached
    join pg_class as c on c.oid = reached.id and c.relkind in ('r', 'p', 'v', 'm', 'f')
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_roles as acting on acting.oid = reached.as_role
  order by c.oid, reached.as_role, reached.through nulls first
  limit 50
)
select json_build_object(
  'role', (select json_build_object('name', rolname, 'may_be_assumed', assumable, 'superuser', rolsuper,
    'bypasses_rls', rolbypassrls) from role),
  'relations', (select coalesce(json_agg(json_build_object(
    'schema', r.nspname,
    'name', r.relname,
    'kind', case r.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
      else 'table' end,
    'under', (select json_build_array(vn.nspname, v.relname) from pg_class as v
      join pg_namespace as vn on vn.oid = v.relnamespace where v.oid = r.through),
    'acting_role', r.acting,
    'owner', pg_get_userbyid(r.relowner),
    'rls', json_build_object('enabled', r.relrowsecurity, 'forced', r.relforcerowsecurity, 'applies', r.active),
    'schema_usage', has_schema_privilege(r.as_role, r.relnamespace, 'usage'),
    'grants', (select coalesce(json_object_agg(p, has_table_privilege(r.as_role, r.oid, p)), '{}')
      from unnest(array['select', 'insert', 'update', 'delete']) as p),
    'column_grants', (select coalesce(json_object_agg(p, columns), '{}') from (
      select p, json_agg(a.attname order by a.attnum) as columns
      from unnest(array['select', 'insert', 'update']) as p
        join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
          and has_column_privilege(r.as_role, r.oid, a.attnum, p)
      where not has_table_privilege(r.as_role, r.oid, p)
      group by p) as granted),
    'policies', (select coalesce(json_agg(json_build_object(
        'name', polname,
        'permissive', polpermissive,
        'command', case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
          when 'd' then 'delete' else 'all' end,
        'roles', (select json_agg(case when id = 0 then 'public' else pg_get_userbyid(id)::text end)
          from unnest(polroles) as id),
        'using', pg_get_expr(polqual, polrelid),
        'check', pg_get_expr(polwithcheck, polrelid),
        'for_role', r.active and exists (select from unnest(polroles) as id
          where id = 0 or pg_has_role(r.as_role, id, 'usage'))
      ) order by polpermissive desc, polname), '[]')
      from (select * from pg_policy where polrelid = r.oid order by polname limit 100) as policies)
    ) order by r.through nulls first, r.oid), '[]') from relations as r),
  'functions', (select coalesce(json_agg(json_build_object(
    'schema', n.nspname,
    'name', f.proname,
    'arguments', pg_get_function_identity_arguments(f.oid),
    'owner', pg_get_userbyid(f.proowner),
    'security_definer', f.prosecdef,
    'volatility', case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    'schema_usage', has_schema_privilege(role.oid, n.oid, 'usage'),
    'execute', has_function_privilege(role.oid, f.oid, 'execute')) order by f.oid), '[]')
    from unnest($4::text[], $5::text[]) as wanted (schema, name)
      join pg_namespace as n on n.nspname = wanted.schema
      join pg_proc as f on f.proname = wanted.name and f.pronamespace = n.oid and f.prokind = 'f'
      cross join role)
)
