-- Listings in the order of the bytes of names, folders as one entry each. Everything runs with the caller's rights,
-- so that policies decide what is seen.
--
-- Rows are read in the order of an index from a place on; behind a folder reading begins anew beyond everything in
-- it, so that a folder costs the same however much it holds. U+10FFFF sorts behind every character: what begins with
-- a text lies between the text and the text followed by it.
--
-- The plan is the same whatever is asked; made anew for every folder it would cost more than the reading.

-- The key up to and with the first delimiter behind the prefix; null when there is none.
create or replace function storage.get_common_prefix(p_key text, p_prefix text, p_delimiter text) returns text
language sql immutable
as $$
  select left(
    p_key,
    length(p_prefix) + nullif(strpos(substr(p_key, length(p_prefix) + 1), nullif(p_delimiter, '')), 0)
      + length(p_delimiter) - 1)
$$;

-- A folder is an entry without an id, named without its last delimiter. Where the page before ended, or where to
-- begin, is a key, or a folder with its delimiter.
create or replace function storage.list_objects_with_delimiter(
  _bucket_id text,
  prefix_param text,
  delimiter_param text,
  max_keys integer default 100,
  start_after text default '',
  next_token text default '',
  sort_order text default 'asc'
) returns table (
  name text,
  id uuid,
  metadata jsonb,
  updated_at timestamptz,
  created_at timestamptz,
  last_accessed_at timestamptz
)
language plpgsql stable set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  sought constant text := coalesce(prefix_param, '');
  behind constant text := sought || chr(1114111);
  upwards constant boolean := lower(coalesce(sort_order, 'asc')) = 'asc';
  wanted integer := coalesce(max_keys, 100);
  token constant text := coalesce(nullif(next_token, ''), start_after, '');
  -- Of the token, when it is a folder.
  folder text := storage.get_common_prefix(token, sought, delimiter_param);
  found record;
  -- The last entry: what follows lies beyond it.
  place text;
begin
  if folder is distinct from token then
    folder := null;
  end if;
  place := case
    when token = '' then case when upwards then '' else behind end
    when folder is null then token
    when upwards then folder || chr(1114111)
    else folder
  end;
  while wanted > 0 loop
    folder := null;
    for found in
      (select o.name, o.id, o.metadata, o.updated_at, o.created_at, o.last_accessed_at
       from storage.objects as o
       where upwards and o.bucket_id = _bucket_id and o.name collate "C" > place
         and o.name collate "C" >= sought and o.name collate "C" < behind
       order by o.name collate "C"
       limit wanted)
      union all
      (select o.name, o.id, o.metadata, o.updated_at, o.created_at, o.last_accessed_at
       from storage.objects as o
       where not upwards and o.bucket_id = _bucket_id and o.name collate "C" < place
         and o.name collate "C" >= sought and o.name collate "C" < behind
       order by o.name collate "C" desc
       limit wanted)
    loop
      folder := storage.get_common_prefix(found.name, sought, delimiter_param);
      wanted := wanted - 1;
      if folder is null then
        name := found.name;
        id := found.id;
        metadata := found.metadata;
        updated_at := found.updated_at;
        created_at := found.created_at;
        last_accessed_at := found.last_accessed_at;
        return next;
      else
        name := left(folder, -length(delimiter_param));
        id := null;
        metadata := null;
        updated_at := null;
        created_at := null;
        last_accessed_at := null;
        return next;
        place := case when upwards then folder || chr(1114111) else folder end;
        exit;
      end if;
    end loop;
    exit when folder is null;
  end loop;
end
$$;

-- Uploads in parts that go on, by key and then by their beginning; keys with a delimiter behind the prefix as one
-- entry without an id. A page follows the upload named by both tokens, or the key named by the first.
create or replace function storage.list_multipart_uploads_with_delimiter(
  bucket_id text,
  prefix_param text,
  delimiter_param text,
  max_keys integer default 100,
  next_key_token text default '',
  next_upload_token text default ''
) returns table (key text, id text, created_at timestamptz)
language sql
as $$
  with mark as (
    select coalesce(
      (select m.created_at from storage.s3_multipart_uploads as m where m.id = $6 and m.bucket_id = $1),
      '-infinity') as begun
  ), entry as (
    select coalesce(storage.get_common_prefix(u.key, coalesce($2, ''), $3), u.key) collate "C" as path,
      u.key, u.id, u.created_at
    from storage.s3_multipart_uploads as u
    where u.bucket_id = $1 and u.key >= coalesce($2, '') and u.key < coalesce($2, '') || chr(1114111)
  ), single as (
    select e.path, null as id, min(e.created_at) as created_at from entry as e where e.path <> e.key group by e.path
    union all
    select e.path, e.id, e.created_at from entry as e where e.path = e.key
  )
  select s.path, s.id, s.created_at
  from single as s, mark
  where coalesce($5, '') = '' or s.path > $5
    or (coalesce($6, '') <> '' and s.path = $5 and (s.created_at, s.id) > (mark.begun, $6))
  order by s.path, s.created_at, s.id
  limit coalesce($4, 100)
$$;
