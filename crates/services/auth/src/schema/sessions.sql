-- Sign-ins: sessions, how they were authenticated, their refresh tokens.
create table if not exists auth.sessions (
  {app_column}
  id uuid not null,
  user_id uuid not null,
  created_at timestamptz,
  updated_at timestamptz,
  factor_id uuid,
  aal auth.aal_level,
  not_after timestamptz,
  refreshed_at timestamp,
  user_agent text,
  ip inet,
  tag text,
  oauth_client_id uuid,
  refresh_token_hmac_key text,
  refresh_token_counter bigint,
  scopes text,
  constraint sessions_pkey primary key ({app}id),
  constraint sessions_scopes_length check (char_length(scopes) <= 4096),
  constraint sessions_user_id_fkey foreign key ({app}user_id) references auth.users ({app}id) on delete cascade,
  constraint sessions_oauth_client_id_fkey
    foreign key ({app}oauth_client_id) references auth.oauth_clients ({app}id) on delete cascade
);
create index if not exists sessions_user_id_idx on auth.sessions ({app}user_id);
create index if not exists user_id_created_at_idx on auth.sessions ({app}user_id, created_at);
create index if not exists sessions_not_after_idx on auth.sessions ({app}not_after desc);
create index if not exists sessions_oauth_client_id_idx on auth.sessions ({app}oauth_client_id);

create table if not exists auth.refresh_tokens (
  {app_column}
  instance_id uuid,
  id bigserial not null,
  token varchar(255),
  user_id varchar(255),
  revoked boolean,
  created_at timestamptz,
  updated_at timestamptz,
  parent varchar(255),
  session_id uuid,
  constraint refresh_tokens_pkey primary key ({app}id),
  constraint refresh_tokens_token_unique unique ({app}token),
  constraint refresh_tokens_session_id_fkey
    foreign key ({app}session_id) references auth.sessions ({app}id) on delete cascade
);
create index if not exists refresh_tokens_instance_id_idx on auth.refresh_tokens ({app}instance_id);
create index if not exists refresh_tokens_instance_id_user_id_idx on auth.refresh_tokens ({app}instance_id, user_id);
create index if not exists refresh_tokens_parent_idx on auth.refresh_tokens ({app}parent);
create index if not exists refresh_tokens_session_id_revoked_idx on auth.refresh_tokens ({app}session_id, revoked);
create index if not exists refresh_tokens_updated_at_idx on auth.refresh_tokens ({app}updated_at desc);

create table if not exists auth.mfa_amr_claims (
  {app_column}
  session_id uuid not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  authentication_method text not null,
  id uuid not null,
  constraint amr_id_pk primary key ({app}id),
  constraint mfa_amr_claims_session_id_authentication_method_pkey unique ({app}session_id, authentication_method),
  constraint mfa_amr_claims_session_id_fkey
    foreign key ({app}session_id) references auth.sessions ({app}id) on delete cascade
);
