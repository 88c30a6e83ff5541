-- $1 id, $2 provider, $3 domain, $4 now
insert into auth.sso_domains (id, sso_provider_id, domain, created_at, updated_at) values ($1, $2, $3, $4, $4)
