-- Settings that the login role carries, those for this database last.
select s.setting
from (
    select setdatabase, unnest(setconfig) as setting
    from pg_db_role_setting
    where setrole = (select oid from pg_roles where rolname = current_user)
        and setdatabase in (0, (select oid from pg_database where datname = current_database()))
) s
order by s.setdatabase
