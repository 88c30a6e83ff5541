-- $1 id, $2 session, $3 method, $4 now
insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
values ($1, $2, $3, $4, $4)
on conflict on constraint mfa_amr_claims_session_id_authentication_method_pkey do update set updated_at = $4
