-- Who may use what is in `auth`, beyond its owner. Run by the superuser after the auth schema, repeatable.
grant all on all tables in schema auth to postgres with grant option;
grant all on all sequences in schema auth to postgres with grant option;
grant all on all tables in schema auth to dashboard_user;
grant execute on all routines in schema auth to postgres, dashboard_user;
grant usage on schema auth to supabase_storage_admin, supabase_realtime_admin;
