-- The enumerated type. Everything below belongs to supabase_storage_admin; names are written with their schemas.
set role supabase_storage_admin;
set search_path = pg_catalog;

do $$
begin
  if to_regtype('storage.buckettype') is null then
    create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');
  end if;
end
$$;
