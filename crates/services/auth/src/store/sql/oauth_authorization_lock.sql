-- $1 public id, $2 user: the request, unless another transaction holds it, with its client and what the user
-- has granted that before
select to_jsonb(a) || jsonb_build_object(
  'client', (select to_jsonb(c) from auth.oauth_clients c where c.id = a.client_id and c.deleted_at is null),
  'granted', (
    select o.scopes from auth.oauth_consents o
    where o.client_id = a.client_id and o.user_id = $2 and o.revoked_at is null))
from auth.oauth_authorizations a
where a.authorization_id = $1
for update of a skip locked
