-- $1 user, $2 now: writes into the app metadata which providers the user's identities have
update auth.users u
set raw_app_meta_data =
  coalesce(nullif(u.raw_app_meta_data, 'null'), '{}') || jsonb_build_object('provider', p.list -> 0, 'providers', p.list),
  updated_at = $2
from (
  select jsonb_agg(provider order by first) as list
  from (select provider, min(created_at) as first from auth.identities where user_id = $1 group by provider) g) p
where u.id = $1 and p.list is not null
