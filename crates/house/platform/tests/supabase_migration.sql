-- A migration as projects write them for Supabase; it can be run again.
create extension if not exists "uuid-ossp";
create extension if not exists pgcrypto with schema extensions;
create extension if not exists "pg_stat_statements";
create extension if not exists pg_trgm;
create extension if not exists citext with schema extensions;

create table if not exists public.profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  full_name text,
  token uuid default uuid_generate_v4(),
  updated_at timestamptz default now()
);
alter table public.profiles enable row level security;
drop policy if exists "Users see themselves" on public.profiles;
create policy "Users see themselves" on public.profiles for select using (auth.uid() = id);

create or replace function public.handle_new_user() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.profiles (id, full_name) values (new.id, new.raw_user_meta_data ->> 'full_name');
  return new;
end
$$;
drop trigger if exists on_auth_user_created on auth.users;
create trigger on_auth_user_created after insert on auth.users
  for each row execute procedure public.handle_new_user();

insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true) on conflict do nothing;
drop policy if exists "Avatars are public" on storage.objects;
create policy "Avatars are public" on storage.objects for select using (bucket_id = 'avatars');
drop policy if exists "Users upload into their folder" on storage.objects;
create policy "Users upload into their folder" on storage.objects for insert to authenticated
  with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = (select auth.uid())::text);

create schema if not exists factory_app;
grant usage on schema factory_app to anon, authenticated, service_role;
alter default privileges in schema factory_app grant all on tables to anon, authenticated, service_role;
do $$
begin
  create type factory_app.integration_status as enum ('active', 'paused');
exception when duplicate_object then null;
end
$$;
create table if not exists factory_app.integration_configs (
  id uuid primary key default gen_random_uuid(),
  status factory_app.integration_status not null default 'active'
);
alter table factory_app.integration_configs enable row level security;
create or replace view factory_app.active_integrations with (security_invoker = on) as
  select id from factory_app.integration_configs where status = 'active';
grant select on factory_app.active_integrations to anon;
insert into factory_app.integration_configs (id) values ('00000000-0000-0000-0000-000000000001') on conflict do nothing;

drop policy if exists "Listen to the own topic" on realtime.messages;
create policy "Listen to the own topic" on realtime.messages for select to authenticated
  using ((select realtime.topic()) = 'user:' || (select auth.uid())::text);
do $$
begin
  alter publication supabase_realtime add table public.profiles;
exception when duplicate_object then null;
end
$$;
notify pgrst, 'reload schema';
