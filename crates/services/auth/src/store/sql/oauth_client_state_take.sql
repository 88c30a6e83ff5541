-- $1 id: gone for everybody else, however many try
delete from auth.oauth_client_states s where s.id = $1 returning to_jsonb(s)
