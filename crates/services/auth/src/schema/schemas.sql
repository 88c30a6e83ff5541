-- The schemas.
create schema if not exists auth authorization supabase_auth_admin;
create schema if not exists rowhouse;
grant usage on schema rowhouse to supabase_auth_admin;
