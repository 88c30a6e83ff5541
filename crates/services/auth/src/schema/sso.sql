-- Single sign-on by SAML.
create table if not exists auth.sso_providers (
  {app_column}
  id uuid not null,
  resource_id text,
  created_at timestamptz,
  updated_at timestamptz,
  disabled boolean,
  constraint sso_providers_pkey primary key ({app}id),
  -- The comparison with null makes this weaker than it looks; kept, since rows that exist rely on it.
  constraint "resource_id not empty" check (resource_id = null or char_length(resource_id) > 0)
);
create unique index if not exists sso_providers_resource_id_idx on auth.sso_providers ({app}lower(resource_id));
create index if not exists sso_providers_resource_id_pattern_idx
  on auth.sso_providers ({app}resource_id text_pattern_ops);

create table if not exists auth.sso_domains (
  {app_column}
  id uuid not null,
  sso_provider_id uuid not null,
  domain text not null,
  created_at timestamptz,
  updated_at timestamptz,
  constraint sso_domains_pkey primary key ({app}id),
  constraint "domain not empty" check (char_length(domain) > 0),
  constraint sso_domains_sso_provider_id_fkey
    foreign key ({app}sso_provider_id) references auth.sso_providers ({app}id) on delete cascade
);
create unique index if not exists sso_domains_domain_idx on auth.sso_domains ({app}lower(domain));
create index if not exists sso_domains_sso_provider_id_idx on auth.sso_domains ({app}sso_provider_id);

create table if not exists auth.saml_providers (
  {app_column}
  id uuid not null,
  sso_provider_id uuid not null,
  entity_id text not null,
  metadata_xml text not null,
  metadata_url text,
  attribute_mapping jsonb,
  created_at timestamptz,
  updated_at timestamptz,
  name_id_format text,
  constraint saml_providers_pkey primary key ({app}id),
  constraint saml_providers_entity_id_key unique ({app}entity_id),
  constraint "entity_id not empty" check (char_length(entity_id) > 0),
  constraint "metadata_url not empty" check (metadata_url = null or char_length(metadata_url) > 0),
  constraint "metadata_xml not empty" check (char_length(metadata_xml) > 0),
  constraint saml_providers_sso_provider_id_fkey
    foreign key ({app}sso_provider_id) references auth.sso_providers ({app}id) on delete cascade
);
create index if not exists saml_providers_sso_provider_id_idx on auth.saml_providers ({app}sso_provider_id);

create table if not exists auth.saml_relay_states (
  {app_column}
  id uuid not null,
  sso_provider_id uuid not null,
  request_id text not null,
  for_email text,
  redirect_to text,
  created_at timestamptz,
  updated_at timestamptz,
  flow_state_id uuid,
  constraint saml_relay_states_pkey primary key ({app}id),
  constraint "request_id not empty" check (char_length(request_id) > 0),
  constraint saml_relay_states_sso_provider_id_fkey
    foreign key ({app}sso_provider_id) references auth.sso_providers ({app}id) on delete cascade,
  constraint saml_relay_states_flow_state_id_fkey
    foreign key ({app}flow_state_id) references auth.flow_state ({app}id) on delete cascade
);
create index if not exists saml_relay_states_created_at_idx on auth.saml_relay_states ({app}created_at desc);
create index if not exists saml_relay_states_for_email_idx on auth.saml_relay_states ({app}for_email);
create index if not exists saml_relay_states_sso_provider_id_idx on auth.saml_relay_states ({app}sso_provider_id);
