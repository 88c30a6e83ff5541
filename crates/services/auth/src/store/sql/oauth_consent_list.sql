-- $1 user
select to_jsonb(o) || jsonb_build_object('client', to_jsonb(c))
from auth.oauth_consents o join auth.oauth_clients c on c.id = o.client_id
where o.user_id = $1 and o.revoked_at is null and c.deleted_at is null
order by o.granted_at desc limit 1000
