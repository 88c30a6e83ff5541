-- The tables of a shard in which every row belongs to an app, quoted.
select format('%I.%I', n.nspname, c.relname)
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
join pg_attribute as a on a.attrelid = c.oid and a.attname = 'app_id' and not a.attisdropped
where n.nspname in ('auth', 'storage', 'rowhouse') and c.relkind in ('r', 'p') and not c.relispartition
order by 1
