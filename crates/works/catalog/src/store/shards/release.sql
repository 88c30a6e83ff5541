-- Takes a project's place back. $1 the project's ref. Repeatable: a project without a place changes nothing.
with freed as (
  select shard from catalog.projects where ref = $1 and shard is not null for update
), cleared as (
  update catalog.projects set shard = null, updated_at = now() where ref = $1 and shard is not null
)
update catalog.shards
set used = used - 1, status = case when status = 'full' then 'open' else status end
where number in (select shard from freed)
