-- What the storage suites expect of a project: two buckets with fixed rows, and a folder for signed-in users.
insert into storage.buckets (id, name, public, owner, created_at, updated_at) values
  ('bucket2', 'bucket2', false, '4d56e902-f0a0-4662-8448-a4d9e643c142', '2021-02-17T04:43:32.770Z', '2021-02-17T04:43:32.770Z'),
  ('bucket-move', 'bucket-move', false, null, now(), now())
on conflict do nothing;
create policy acceptance_rls on storage.objects for all to authenticated
  using (bucket_id = 'bucket2' and split_part(name, '/', 1) = 'authenticated')
  with check (bucket_id = 'bucket2' and split_part(name, '/', 1) = 'authenticated');
