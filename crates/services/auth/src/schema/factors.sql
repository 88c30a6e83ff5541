-- Second factors and passkeys.
create table if not exists auth.mfa_factors (
  {app_column}
  id uuid not null,
  user_id uuid not null,
  friendly_name text,
  factor_type auth.factor_type not null,
  status auth.factor_status not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  secret text,
  phone text,
  last_challenged_at timestamptz,
  web_authn_credential jsonb,
  web_authn_aaguid uuid,
  last_webauthn_challenge_data jsonb,
  constraint mfa_factors_pkey primary key ({app}id),
  constraint mfa_factors_last_challenged_at_key unique ({app}last_challenged_at),
  constraint mfa_factors_user_id_fkey foreign key ({app}user_id) references auth.users ({app}id) on delete cascade
);
create unique index if not exists mfa_factors_user_friendly_name_unique
  on auth.mfa_factors ({app}friendly_name, user_id) where trim(friendly_name) <> '';
create unique index if not exists unique_phone_factor_per_user on auth.mfa_factors ({app}user_id, phone);
create index if not exists factor_id_created_at_idx on auth.mfa_factors ({app}user_id, created_at);
create index if not exists mfa_factors_user_id_idx on auth.mfa_factors ({app}user_id);

create table if not exists auth.mfa_challenges (
  {app_column}
  id uuid not null,
  factor_id uuid not null,
  created_at timestamptz not null,
  verified_at timestamptz,
  ip_address inet not null,
  otp_code text,
  web_authn_session_data jsonb,
  constraint mfa_challenges_pkey primary key ({app}id),
  constraint mfa_challenges_auth_factor_id_fkey
    foreign key ({app}factor_id) references auth.mfa_factors ({app}id) on delete cascade
);
create index if not exists mfa_challenge_created_at_idx on auth.mfa_challenges ({app}created_at desc);

create table if not exists auth.webauthn_credentials (
  {app_column}
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  credential_id bytea not null,
  public_key bytea not null,
  attestation_type text not null default '',
  aaguid uuid,
  sign_count bigint not null default 0,
  transports jsonb not null default '[]',
  backup_eligible boolean not null default false,
  backed_up boolean not null default false,
  friendly_name text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_used_at timestamptz,
  constraint webauthn_credentials_pkey primary key ({app}id),
  constraint webauthn_credentials_user_id_fkey
    foreign key ({app}user_id) references auth.users ({app}id) on delete cascade
);
create unique index if not exists webauthn_credentials_credential_id_key
  on auth.webauthn_credentials ({app}credential_id);
create index if not exists webauthn_credentials_user_id_idx on auth.webauthn_credentials ({app}user_id);

create table if not exists auth.webauthn_challenges (
  {app_column}
  id uuid not null default gen_random_uuid(),
  user_id uuid,
  challenge_type text not null,
  session_data jsonb not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  constraint webauthn_challenges_pkey primary key ({app}id),
  constraint webauthn_challenges_challenge_type_check
    check (challenge_type in ('signup', 'registration', 'authentication')),
  constraint webauthn_challenges_user_id_fkey
    foreign key ({app}user_id) references auth.users ({app}id) on delete cascade
);
create index if not exists webauthn_challenges_user_id_idx on auth.webauthn_challenges ({app}user_id);
create index if not exists webauthn_challenges_expires_at_idx on auth.webauthn_challenges ({app}expires_at);
