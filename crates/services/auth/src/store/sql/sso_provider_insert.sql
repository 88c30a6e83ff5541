-- $1 id, $2 resource (or null), $3 disabled (or null), $4 now
insert into auth.sso_providers (id, resource_id, disabled, created_at, updated_at) values ($1, $2, $3, $4, $4)
