-- $1 id, $2 what takes the place of the subject, $3 now
update auth.identities set provider_id = $2, identity_data = '{}', updated_at = $3 where id = $1
