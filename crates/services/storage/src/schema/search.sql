-- The listing of the first API: one level, without regard to cases, pages by offset.

-- The segments of a text that slashes part.
create or replace function storage.search_depth(path text) returns integer
language sql immutable
as $$
  select length(path) - length(replace(path, '/', '')) + 1
$$;

-- How many files come next that an offset passes over, counted without being returned: up to the first folder, at
-- most `most`; and where the rest begins, in the terms of storage.search. A set of one, because only sets become
-- part of the plan of who asks.
create or replace function storage.search_skip(
  bucketname text, low text, place text, upwards boolean, most integer
) returns table (passed integer, next_place text)
language sql stable
as $$
  with run as (
    (select extensions.leakproof_lower(o.name) collate "C" as folded
     from storage.objects as o
     where $4 and o.bucket_id = $1 and extensions.leakproof_lower(o.name) collate "C" >= $3
       and extensions.leakproof_lower(o.name) collate "C" < $2 || chr(1114111)
     order by extensions.leakproof_lower(o.name) collate "C"
     limit $5)
    union all
    (select extensions.leakproof_lower(o.name) collate "C" as folded
     from storage.objects as o
     where not $4 and o.bucket_id = $1 and extensions.leakproof_lower(o.name) collate "C" < $3
       and extensions.leakproof_lower(o.name) collate "C" >= $2
     order by extensions.leakproof_lower(o.name) collate "C" desc
     limit $5)
  ), stop as (
    -- The last one is left, as others may be equal to it.
    select case when $4
      then coalesce(min(r.folded) filter (where strpos(substr(r.folded, length($2) + 1), '/') > 0), max(r.folded))
      else coalesce(max(r.folded) filter (where strpos(substr(r.folded, length($2) + 1), '/') > 0), min(r.folded))
      end as folded
    from run as r
  )
  select count(*)::integer,
    case when $4 then min(stop.folded) else min(stop.folded) || chr(1) end
  from run as r, stop
  where case when $4 then r.folded < stop.folded else r.folded > stop.folded end
$$;

-- The folders of a level, by name.
create or replace function storage.search_folders(
  bucketname text, low text, upwards boolean, wanted bigint
) returns setof text
language plpgsql stable set plan_cache_mode = force_generic_plan
as $$
declare
  place text := case when upwards then low else low || chr(1114111) end;
  folder text;
  found record;
begin
  while wanted > 0 loop
    folder := null;
    for found in
      (select o.name, extensions.leakproof_lower(o.name) as folded
       from storage.objects as o
       where upwards and o.bucket_id = bucketname and extensions.leakproof_lower(o.name) collate "C" >= place
         and extensions.leakproof_lower(o.name) collate "C" < low || chr(1114111)
         and strpos(substr(extensions.leakproof_lower(o.name), length(low) + 1), '/') > 0
       order by extensions.leakproof_lower(o.name) collate "C"
       limit 1)
      union all
      (select o.name, extensions.leakproof_lower(o.name) as folded
       from storage.objects as o
       where not upwards and o.bucket_id = bucketname and extensions.leakproof_lower(o.name) collate "C" < place
         and extensions.leakproof_lower(o.name) collate "C" >= low
         and strpos(substr(extensions.leakproof_lower(o.name), length(low) + 1), '/') > 0
       order by extensions.leakproof_lower(o.name) collate "C" desc
       limit 1)
    loop
      folder := storage.get_common_prefix(found.folded, low, '/');
      return next found.name;
      wanted := wanted - 1;
      place := case when upwards then folder || chr(1114111) else folder end;
    end loop;
    exit when folder is null;
  end loop;
end
$$;

-- By anything but the name: first all folders, by name, then the files.
create or replace function storage.search_by_column(
  prefix text, bucketname text, wanted integer, skipped bigint, sought text, sortcolumn text, upwards boolean
) returns table (
  name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
)
language plpgsql stable
as $$
#variable_conflict use_column
declare
  low constant text := extensions.leakproof_lower(prefix || sought);
  shown constant integer := storage.search_depth(prefix);
  level constant integer := storage.search_depth(low);
  found text;
begin
  for found in
    select f from storage.search_folders(bucketname, low, upwards, skipped + wanted) as f
  loop
    if skipped > 0 then
      skipped := skipped - 1;
    else
      wanted := wanted - 1;
      name := array_to_string((string_to_array(found, '/'))[shown:level], '/');
      return next;
    end if;
  end loop;
  if wanted <= 0 then
    return;
  end if;
  return query
    with file as (
      select o.name, o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata,
        case sortcolumn
          when 'updated_at' then o.updated_at
          when 'created_at' then o.created_at
          else o.last_accessed_at
        end as moment
      from storage.objects as o
      where o.bucket_id = bucketname and extensions.leakproof_lower(o.name) collate "C" >= low
        and extensions.leakproof_lower(o.name) collate "C" < low || chr(1114111)
        and strpos(substr(extensions.leakproof_lower(o.name), length(low) + 1), '/') = 0
    ), page as (
      (select * from file where upwards order by moment, name collate "C" offset skipped limit wanted)
      union all
      (select * from file where not upwards order by moment desc, name collate "C" desc offset skipped limit wanted)
    )
    select array_to_string((string_to_array(p.name, '/'))[shown:level], '/'),
      p.id, p.updated_at, p.created_at, p.last_accessed_at, p.metadata
    from page as p;
end
$$;

-- Names are relative to the last slash of `prefix`. `levels` is what the slashes of prefix and search say already.
create or replace function storage.search(
  prefix text,
  bucketname text,
  limits integer default 100,
  levels integer default 1,
  offsets integer default 0,
  search text default '',
  sortcolumn text default 'name',
  sortorder text default 'asc'
) returns table (
  name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
)
language plpgsql stable set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  sought constant text := coalesce(prefix, '') || coalesce(search, '');
  low constant text := extensions.leakproof_lower(sought);
  shown constant integer := storage.search_depth(coalesce(prefix, ''));
  level constant integer := storage.search_depth(sought);
  upwards constant boolean := lower(coalesce(sortorder, 'asc')) = 'asc';
  wanted integer := least(coalesce(limits, 100), 1500);
  skipped bigint := greatest(coalesce(offsets, 0), 0);
  place text := case when upwards then low else low || chr(1114111) end;
  stride integer := 100;
  run record;
  found record;
  folder text;
begin
  if lower(sortcolumn) in ('updated_at', 'created_at', 'last_accessed_at') then
    return query select * from storage.search_by_column(
      coalesce(prefix, ''), bucketname, wanted, skipped, coalesce(search, ''), lower(sortcolumn), upwards);
    return;
  end if;
  while wanted > 0 loop
    while skipped >= stride loop
      select s.passed, s.next_place into run
      from storage.search_skip(bucketname, low, place, upwards, stride) as s;
      exit when run.passed = 0;
      skipped := skipped - run.passed;
      place := run.next_place;
      stride := case when run.passed = stride - 1 then least(4 * stride, 50000) else 2 end;
    end loop;
    -- Behind a folder another one may be near: nothing is read in vain.
    stride := 2;
    folder := null;
    for found in
      (select o.name, o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata,
         extensions.leakproof_lower(o.name) as folded
       from storage.objects as o
       where upwards and o.bucket_id = bucketname and extensions.leakproof_lower(o.name) collate "C" >= place
         and extensions.leakproof_lower(o.name) collate "C" < low || chr(1114111)
       order by extensions.leakproof_lower(o.name) collate "C"
       limit skipped + wanted)
      union all
      (select o.name, o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata,
         extensions.leakproof_lower(o.name) as folded
       from storage.objects as o
       where not upwards and o.bucket_id = bucketname and extensions.leakproof_lower(o.name) collate "C" < place
         and extensions.leakproof_lower(o.name) collate "C" >= low
       order by extensions.leakproof_lower(o.name) collate "C" desc
       limit skipped + wanted)
    loop
      folder := storage.get_common_prefix(found.folded, low, '/');
      if skipped > 0 then
        skipped := skipped - 1;
      else
        wanted := wanted - 1;
        name := array_to_string((string_to_array(found.name, '/'))[shown:level], '/');
        if folder is null then
          id := found.id;
          updated_at := found.updated_at;
          created_at := found.created_at;
          last_accessed_at := found.last_accessed_at;
          metadata := found.metadata;
        else
          id := null;
          updated_at := null;
          created_at := null;
          last_accessed_at := null;
          metadata := null;
        end if;
        return next;
      end if;
      if folder is not null then
        place := case when upwards then folder || chr(1114111) else folder end;
        exit;
      end if;
    end loop;
    exit when folder is null;
  end loop;
end
$$;
