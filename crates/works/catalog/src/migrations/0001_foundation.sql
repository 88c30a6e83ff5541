create schema catalog;

create table catalog.meta (
  name text primary key,
  sealed bytea not null
);

create table catalog.organizations (
  id uuid primary key default gen_random_uuid(),
  slug text not null unique,
  name text not null check (length(name) between 1 and 128),
  created_at timestamptz not null default now()
);

create table catalog.instances (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('managed', 'external')),
  name text not null unique,
  -- The URL of an external server, with its password, sealed.
  url_sealed bytea,
  status text not null default 'ACTIVE_HEALTHY',
  created_at timestamptz not null default now(),
  check ((kind = 'external') = (url_sealed is not null))
);

create table catalog.shards (
  number integer primary key check (number > 0),
  instance_id uuid not null references catalog.instances (id),
  database text not null,
  capacity integer not null default 10000 check (capacity > 0),
  used integer not null default 0 check (used >= 0),
  status text not null default 'opening' check (status in ('opening', 'open', 'full', 'closed')),
  created_at timestamptz not null default now(),
  unique (instance_id, database)
);

-- Never reused: a token, a log line or a backup that names app 57 always means the same app.
create sequence catalog.app_ids as integer start 1;

create table catalog.projects (
  ref text primary key check (ref ~ '^[a-z]{20}$'),
  slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text not null check (length(name) between 1 and 256),
  organization_id uuid not null references catalog.organizations (id),
  tenancy text not null check (tenancy in ('pooled', 'dedicated')),
  app_id integer unique check (app_id > 0),
  shard integer references catalog.shards (number),
  instance_id uuid references catalog.instances (id),
  status text not null default 'COMING_UP',
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (tenancy = 'pooled' or (app_id is null and shard is null)),
  check (tenancy = 'dedicated' or instance_id is null)
);
create index projects_organization_id on catalog.projects (organization_id);
create index projects_shard on catalog.projects (shard);
create index projects_created_at on catalog.projects (created_at);

create table catalog.api_keys (
  id uuid primary key default gen_random_uuid(),
  project_ref text not null references catalog.projects (ref) on delete cascade,
  kind text not null check (kind in ('legacy', 'publishable', 'secret')),
  name text not null,
  role text not null,
  hash bytea not null unique check (length(hash) = 32),
  sealed bytea not null,
  prefix text not null,
  description text,
  -- Settings that every request with this key runs under.
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  enabled boolean not null default true,
  inserted_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (project_ref, kind, name)
);

create table catalog.jwt_secrets (
  id uuid primary key default gen_random_uuid(),
  project_ref text not null references catalog.projects (ref) on delete cascade,
  algorithm text not null default 'HS256',
  status text not null default 'in_use' check (status in ('in_use', 'standby', 'previously_used', 'revoked')),
  sealed bytea not null,
  created_at timestamptz not null default now()
);
create unique index jwt_secrets_in_use on catalog.jwt_secrets (project_ref) where status = 'in_use';
create index jwt_secrets_project_ref on catalog.jwt_secrets (project_ref);

create table catalog.project_secrets (
  project_ref text not null references catalog.projects (ref) on delete cascade,
  name text not null,
  sealed bytea not null,
  updated_at timestamptz not null default now(),
  primary key (project_ref, name)
);

create table catalog.domains (
  domain text primary key check (domain = lower(domain) and length(domain) between 1 and 253),
  project_ref text not null references catalog.projects (ref) on delete cascade,
  status text not null default 'active' check (status in ('pending', 'active')),
  created_at timestamptz not null default now()
);
create index domains_project_ref on catalog.domains (project_ref);

create table catalog.entity_models (
  project_ref text primary key references catalog.projects (ref) on delete cascade,
  version integer not null,
  model jsonb not null,
  updated_at timestamptz not null default now()
);

-- A job is a numbered sequence of steps; `step` is the first one not known to be done.
create table catalog.jobs (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('create_project', 'delete_project')),
  -- No foreign key: the job of a deletion outlives its project.
  project_ref text not null,
  step integer not null default 0,
  state text not null default 'running' check (state in ('running', 'undoing', 'done', 'failed')),
  input jsonb not null default '{}',
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index jobs_unfinished on catalog.jobs (project_ref) where state in ('running', 'undoing');

create table catalog.audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  organization_id uuid,
  project_ref text,
  details jsonb not null default '{}'
);
create index audit_log_project_ref on catalog.audit_log (project_ref, id);

create table catalog.outbox (
  id bigint generated always as identity primary key,
  topic text not null,
  payload jsonb not null,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  sent_at timestamptz,
  last_error text,
  created_at timestamptz not null default now()
);
create index outbox_due on catalog.outbox (next_attempt_at) where sent_at is null;

-- Whoever caches a project learns here that something of it has changed.
create function catalog.announce() returns trigger
language plpgsql
as $$
declare
  row_now jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
begin
  perform pg_notify('rowhouse_catalog', coalesce(row_now ->> 'project_ref', row_now ->> 'ref'));
  return null;
end
$$;

create trigger announce after insert or update or delete on catalog.projects
  for each row execute function catalog.announce();
create trigger announce after insert or update or delete on catalog.api_keys
  for each row execute function catalog.announce();
create trigger announce after insert or update or delete on catalog.jwt_secrets
  for each row execute function catalog.announce();
create trigger announce after insert or update or delete on catalog.domains
  for each row execute function catalog.announce();
