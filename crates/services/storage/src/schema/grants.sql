-- Row-level security is on for every table; the owner is not subject to it unless it is forced.
do $$
declare
  relation regclass;
begin
  for relation in
    select oid from pg_class where relnamespace = 'storage'::regnamespace and relkind = 'r' and not relrowsecurity
      and relowner = 'supabase_storage_admin'::regrole
  loop
    execute format('alter table %s enable row level security', relation);
  end loop;
end
$$;
