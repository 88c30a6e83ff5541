-- Gives a project its place: the first open shard that has room. $1 the project's ref. No row comes back when every shard is full
-- (or the project has a place already). The shard's row is locked, so two projects never share the last place.
with place as (
  select number
  from catalog.shards
  where status = 'open' and used < capacity
  order by number
  limit 1
  for update
), placed as (
  update catalog.projects
  set shard = place.number, app_id = coalesce(app_id, nextval('catalog.app_ids')::integer), updated_at = now()
  from place
  where ref = $1 and tenancy = 'pooled' and shard is null
  returning projects.shard, projects.app_id
), counted as (
  update catalog.shards
  set used = used + 1, status = case when used + 1 >= capacity then 'full' else status end
  where number in (select shard from placed)
)
select shard, app_id from placed
