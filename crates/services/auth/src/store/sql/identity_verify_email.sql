-- $1 user, $2 now: identities that carry the account's own address
update auth.identities i
set identity_data = i.identity_data || '{"email_verified": true}', updated_at = $2
from auth.users u
where u.id = $1 and i.user_id = u.id and i.email = u.email and i.email <> ''
