-- The schema of one pooled project, in which the marker stands for its number. Run by the superuser, repeatable.
create schema if not exists app_:app authorization rowhouse_owner;
grant usage on schema app_:app to anon, authenticated, service_role;

create table if not exists app_:app.rowhouse_users (id uuid primary key);
alter table app_:app.rowhouse_users owner to rowhouse_owner;
alter table app_:app.rowhouse_users enable row level security, force row level security;
drop policy if exists rowhouse_keeps on app_:app.rowhouse_users;
create policy rowhouse_keeps on app_:app.rowhouse_users to rowhouse_owner using (true) with check (true);
drop policy if exists rowhouse_app on app_:app.rowhouse_users;
create policy rowhouse_app on app_:app.rowhouse_users as restrictive
  using ((select rowhouse.app_id()) = :app) with check ((select rowhouse.app_id()) = :app);
