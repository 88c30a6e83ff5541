-- $1 user: sessions without a second factor
delete from auth.sessions where user_id = $1 and coalesce(aal, 'aal1') < 'aal2'
