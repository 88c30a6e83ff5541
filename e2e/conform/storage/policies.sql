-- Who may do what in the comparison. Buckets of one run are called <kind>-<run>.
set client_min_messages = error;
do $$
begin
  drop policy if exists "compare: own folder" on storage.objects;
  drop policy if exists "compare: readers" on storage.objects;
  drop policy if exists "compare: insert only" on storage.objects;
  drop policy if exists "compare: small pictures only" on storage.objects;
  drop policy if exists "compare: by operation" on storage.objects;
  drop policy if exists "compare: keepers list buckets" on storage.buckets;
  drop policy if exists "compare: keepers make buckets" on storage.buckets;
end $$;

-- In buckets `own-…` a user may do everything below a folder of its own name.
create policy "compare: own folder" on storage.objects for all to authenticated
  using (bucket_id like 'own-%' and (storage.foldername(name))[1] = auth.uid()::text)
  with check (bucket_id like 'own-%' and (storage.foldername(name))[1] = auth.uid()::text);
-- In buckets `read-…` everybody may read what is called *.txt.
create policy "compare: readers" on storage.objects for select to anon, authenticated
  using (bucket_id like 'read-%' and storage.extension(name) = 'txt');
-- In buckets `drop-…` everybody may add and nobody may look.
create policy "compare: insert only" on storage.objects for insert to anon, authenticated
  with check (bucket_id like 'drop-%');
-- In buckets `pics-…` a user may add what is declared as a small picture.
create policy "compare: small pictures only" on storage.objects for insert to authenticated
  with check (bucket_id like 'pics-%' and metadata ->> 'mimetype' like 'image/%'
    and (metadata ->> 'contentLength')::int < 1000 and user_metadata ->> 'kind' = 'photo');
-- In buckets `ops-…` what may be read depends on the operation.
create policy "compare: by operation" on storage.objects for select to anon, authenticated
  using (bucket_id like 'ops-%' and storage.allow_any_operation(array['object.list', 'storage.object.sign']));
-- Users whose token says that they keep buckets.
create policy "compare: keepers list buckets" on storage.buckets for select to authenticated
  using ((auth.jwt() ->> 'keeper') = 'true');
create policy "compare: keepers make buckets" on storage.buckets for insert to authenticated
  with check ((auth.jwt() ->> 'keeper') = 'true' and not public);
