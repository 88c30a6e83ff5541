-- Who can sign in: users, their identities at providers, their one-time tokens.
create table if not exists auth.users (
  {app_column}
  instance_id uuid,
  id uuid not null,
  aud varchar(255),
  role varchar(255),
  email varchar(255),
  encrypted_password varchar(255),
  email_confirmed_at timestamptz,
  invited_at timestamptz,
  confirmation_token varchar(255),
  confirmation_sent_at timestamptz,
  recovery_token varchar(255),
  recovery_sent_at timestamptz,
  email_change_token_new varchar(255),
  email_change varchar(255),
  email_change_sent_at timestamptz,
  last_sign_in_at timestamptz,
  raw_app_meta_data jsonb,
  raw_user_meta_data jsonb,
  is_super_admin boolean,
  created_at timestamptz,
  updated_at timestamptz,
  phone text default null::varchar,
  phone_confirmed_at timestamptz,
  phone_change text default ''::varchar,
  phone_change_token varchar(255) default '',
  phone_change_sent_at timestamptz,
  confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
  email_change_token_current varchar(255) default '',
  email_change_confirm_status smallint default 0,
  banned_until timestamptz,
  reauthentication_token varchar(255) default '',
  reauthentication_sent_at timestamptz,
  is_sso_user boolean not null default false,
  deleted_at timestamptz,
  is_anonymous boolean not null default false,
  constraint users_pkey primary key ({app}id),
  constraint users_phone_key unique ({app}phone),
  constraint users_email_change_confirm_status_check
    check (email_change_confirm_status >= 0 and email_change_confirm_status <= 2)
);
create unique index if not exists users_email_partial_key on auth.users ({app}email) where (is_sso_user = false);
create index if not exists users_instance_id_idx on auth.users ({app}instance_id);
create index if not exists users_instance_id_email_idx on auth.users ({app}instance_id, lower(email));
create index if not exists users_created_at_id_idx on auth.users ({app}created_at, id);
create index if not exists users_is_anonymous_idx on auth.users ({app}is_anonymous);
-- A token that is only digits is a code by itself, and codes of two users may be equal.
create unique index if not exists confirmation_token_idx
  on auth.users ({app}confirmation_token) where confirmation_token !~ '^[0-9 ]*$';
create unique index if not exists recovery_token_idx
  on auth.users ({app}recovery_token) where recovery_token !~ '^[0-9 ]*$';
create unique index if not exists email_change_token_new_idx
  on auth.users ({app}email_change_token_new) where email_change_token_new !~ '^[0-9 ]*$';
create unique index if not exists email_change_token_current_idx
  on auth.users ({app}email_change_token_current) where email_change_token_current !~ '^[0-9 ]*$';
create unique index if not exists reauthentication_token_idx
  on auth.users ({app}reauthentication_token) where reauthentication_token !~ '^[0-9 ]*$';

create table if not exists auth.identities (
  {app_column}
  provider_id text not null,
  user_id uuid not null,
  identity_data jsonb not null,
  provider text not null,
  last_sign_in_at timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  email text generated always as (lower(identity_data ->> 'email')) stored,
  id uuid not null default gen_random_uuid(),
  constraint identities_pkey primary key ({app}id),
  constraint identities_provider_id_provider_unique unique ({app}provider_id, provider),
  constraint identities_user_id_fkey foreign key ({app}user_id) references auth.users ({app}id) on delete cascade
);
create index if not exists identities_user_id_idx on auth.identities ({app}user_id);
create index if not exists identities_email_idx on auth.identities ({app}email text_pattern_ops);

create table if not exists auth.one_time_tokens (
  {app_column}
  id uuid not null,
  user_id uuid not null,
  token_type auth.one_time_token_type not null,
  token_hash text not null,
  relates_to text not null,
  created_at timestamp not null default now(),
  updated_at timestamp not null default now(),
  constraint one_time_tokens_pkey primary key ({app}id),
  constraint one_time_tokens_token_hash_check check (char_length(token_hash) > 0),
  constraint one_time_tokens_user_id_fkey foreign key ({app}user_id) references auth.users ({app}id) on delete cascade
);
create unique index if not exists one_time_tokens_user_id_token_type_key
  on auth.one_time_tokens ({app}user_id, token_type);
create index if not exists one_time_tokens_token_hash_hash_idx on auth.one_time_tokens using hash (token_hash);
create index if not exists one_time_tokens_relates_to_hash_idx on auth.one_time_tokens using hash (relates_to);
