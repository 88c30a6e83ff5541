-- In a shard every row belongs to an app and is visible only under that app's setting, to everybody: the roles have
-- no BYPASSRLS here, and the owner is forced. Within an app, a bucket says who reads and writes what lies in it;
-- nobody but the service role sees or changes the buckets themselves.
--
-- No TRUNCATE for anybody, which asks no policy.
alter table storage.buckets
  add column if not exists access text not null default 'owner'
    constraint buckets_access_check check (access in ('owner', 'project', 'public_read', 'folder'));

grant select, insert, update, delete on storage.buckets, storage.objects, storage.buckets_vectors,
  storage.buckets_analytics, storage.vector_indexes to anon, authenticated, service_role;
grant select on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts, storage.iceberg_namespaces,
  storage.iceberg_tables to anon, authenticated;
grant select, insert, update, delete on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts,
  storage.iceberg_namespaces, storage.iceberg_tables to service_role;

do $$
declare
  relation regclass;
begin
  for relation in
    select c.oid
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attname = 'app_id' and not a.attisdropped
    where c.relkind = 'r' and c.relnamespace = 'storage'::regnamespace
  loop
    execute format('alter table %s force row level security', relation);
    execute format('drop policy if exists own_app on %s', relation);
    execute format(
      'create policy own_app on %s as restrictive'
      ' using (app_id = (select rowhouse.app_id())) with check (app_id = (select rowhouse.app_id()))', relation);
    execute format('drop policy if exists service on %s', relation);
    execute format('create policy service on %s to service_role using (true) with check (true)', relation);
  end loop;
end
$$;

-- The buckets of the app with an access, for policies: they are asked on behalf of roles that do not see buckets.
drop policy if exists asked_by_policies on storage.buckets;
create policy asked_by_policies on storage.buckets for select to supabase_storage_admin using (true);
create or replace function storage.buckets_with_access(wanted text) returns setof text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select b.id from storage.buckets as b where b.access = wanted
$$;
revoke all on function storage.buckets_with_access(text) from public;
grant execute on all functions in schema storage to anon, authenticated, service_role;

drop policy if exists everybody_reads on storage.objects;
create policy everybody_reads on storage.objects for select to anon, authenticated
  using (bucket_id in (select storage.buckets_with_access('public_read')));

drop policy if exists own_objects on storage.objects;
create policy own_objects on storage.objects to authenticated
  using (
    owner_id = (select auth.jwt() ->> 'sub')
    and (bucket_id in (select storage.buckets_with_access('owner'))
      or bucket_id in (select storage.buckets_with_access('public_read'))))
  with check (
    owner_id = (select auth.jwt() ->> 'sub')
    and (bucket_id in (select storage.buckets_with_access('owner'))
      or bucket_id in (select storage.buckets_with_access('public_read'))));

drop policy if exists shared_objects on storage.objects;
create policy shared_objects on storage.objects to authenticated
  using (bucket_id in (select storage.buckets_with_access('project')))
  with check (bucket_id in (select storage.buckets_with_access('project')));

-- What costs least is asked first: the beginning of the name tells nearly all rows of others.
drop policy if exists own_folder on storage.objects;
create policy own_folder on storage.objects to authenticated
  using (
    bucket_id in (select storage.buckets_with_access('folder'))
    and starts_with(name, (select (auth.jwt() ->> 'sub') || '/')))
  with check (
    bucket_id in (select storage.buckets_with_access('folder'))
    and starts_with(name, (select (auth.jwt() ->> 'sub') || '/')));

reset search_path;
reset role;
