-- In a shard every row belongs to an app and is visible only under that app's setting, to the owner as well.
set role supabase_auth_admin;
do $$
declare
  relation regclass;
begin
  for relation in
    select c.oid
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'app_id' and not a.attisdropped
    where c.relkind = 'r'
      and (c.relnamespace = 'auth'::regnamespace
        or c.oid in ('rowhouse.mail_outbox'::regclass, 'rowhouse.spent_proofs'::regclass))
  loop
    execute format('alter table %s force row level security', relation);
    execute format('drop policy if exists own_app on %s', relation);
    execute format(
      'create policy own_app on %s to supabase_auth_admin'
      ' using (app_id = (select rowhouse.app_id())) with check (app_id = (select rowhouse.app_id()))', relation);
  end loop;
end
$$;
reset role;
