-- By which scripts this database was made. Run last, by the superuser, repeatable.
create schema if not exists rowhouse;
create table if not exists rowhouse.bootstrap (
  version text not null,
  applied_at timestamptz not null default now()
);
delete from rowhouse.bootstrap;
insert into rowhouse.bootstrap (version) values (':version');

-- By which text each schema was made whose owner runs it: those are brought up to date one by one.
create table if not exists rowhouse.owned_schemas (
  owner name primary key,
  version text not null,
  applied_at timestamptz not null default now()
);
