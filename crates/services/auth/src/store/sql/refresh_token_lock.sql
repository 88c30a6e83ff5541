-- $1 token: the row, unless another transaction holds it
select to_jsonb(t) from auth.refresh_tokens t where t.token = $1 for no key update skip locked
