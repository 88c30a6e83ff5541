-- The listing of the second API: one level, names in full, pages by cursor. Folders are named without their last
-- slash, also in the cursors of the reference: those mean a folder when there is one and no file of that name. A
-- cursor with the slash is a folder without a doubt.

-- By a time. A folder has the time of its oldest member, so that every member must be read.
create or replace function storage.search_by_timestamp(
  p_prefix text,
  p_bucket_id text,
  p_limit integer,
  p_level integer,
  p_start_after text,
  p_sort_order text,
  p_sort_column text,
  p_sort_column_after text
) returns table (
  key text,
  name text,
  id uuid,
  updated_at timestamptz,
  created_at timestamptz,
  last_accessed_at timestamptz,
  metadata jsonb
)
language plpgsql stable
as $$
#variable_conflict use_column
declare
  sought constant text := coalesce(p_prefix, '');
  upwards constant boolean := lower(coalesce(p_sort_order, 'asc')) = 'asc';
  updated constant boolean := p_sort_column = 'updated_at';
  after constant text := coalesce(p_start_after, '');
  moment_after constant timestamptz := coalesce(nullif(p_sort_column_after, '')::timestamptz, 'epoch');
begin
  return query
    with member as not materialized (
      select o.*, storage.get_common_prefix(o.name, sought, '/') as folder
      from storage.objects as o
      where o.bucket_id = p_bucket_id and o.name collate "C" >= sought
        and o.name collate "C" < sought || chr(1114111)
    ), entry as (
      select m.folder collate "C" as path, null::uuid as id, min(m.created_at) as updated_at,
        min(m.created_at) as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
      from member as m
      where m.folder is not null
      group by m.folder
      union all
      select m.name collate "C", m.id, m.updated_at, m.created_at, m.last_accessed_at, m.metadata
      from member as m
      where m.folder is null
    ), placed as (
      select e.*, coalesce(
          date_trunc('milliseconds', case when updated then e.updated_at else e.created_at end), 'epoch') as moment
      from entry as e
    ), page as (
      (select *
       from placed as p
       where upwards and (after = '' or (p.moment, p.path) > (moment_after, after))
       order by p.moment, p.path
       limit p_limit)
      union all
      (select *
       from placed as p
       where not upwards and (after = '' or (p.moment, p.path) < (moment_after, after))
       order by p.moment desc, p.path desc
       limit p_limit)
    )
    select split_part(p.path, '/', p_level), case when p.id is null then left(p.path, -1) else p.path end,
      p.id, p.updated_at, p.created_at, p.last_accessed_at, p.metadata
    from page as p;
end
$$;

create or replace function storage.search_v2(
  prefix text,
  bucket_name text,
  limits integer default 100,
  levels integer default 1,
  start_after text default '',
  sort_order text default 'asc',
  sort_column text default 'name',
  sort_column_after text default ''
) returns table (
  key text,
  name text,
  id uuid,
  updated_at timestamptz,
  created_at timestamptz,
  last_accessed_at timestamptz,
  metadata jsonb
)
language plpgsql stable
as $$
#variable_conflict use_column
declare
  wanted constant integer := least(coalesce(limits, 100), 1500);
  ordered constant text := case lower(sort_order) when 'desc' then 'desc' else 'asc' end;
  token text := coalesce(start_after, '');
begin
  if lower(sort_column) in ('updated_at', 'created_at') then
    return query select * from storage.search_by_timestamp(
      prefix, bucket_name, wanted, levels, start_after, ordered, lower(sort_column), sort_column_after);
  else
    if token <> '' and token not like '%/'
      and exists (
        select from storage.objects as o
        where o.bucket_id = bucket_name and o.name collate "C" >= token || '/'
          and o.name collate "C" < token || '/' || chr(1114111))
      and not exists (select from storage.objects as o where o.bucket_id = bucket_name and o.name = token)
    then
      token := token || '/';
    end if;
    return query
      select split_part(l.name, '/', levels), l.name, l.id, l.updated_at, l.created_at, l.last_accessed_at, l.metadata
      from storage.list_objects_with_delimiter(
        bucket_name, coalesce(prefix, ''), '/', wanted, '', token, ordered) as l;
  end if;
end
$$;
