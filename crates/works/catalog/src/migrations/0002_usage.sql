-- What projects use, by day: added to, never counted anew.
create table catalog.project_usage (
  project_ref text not null references catalog.projects (ref) on delete cascade,
  day date not null,
  storage_ingress_bytes bigint not null default 0,
  storage_egress_bytes bigint not null default 0,
  storage_requests bigint not null default 0,
  primary key (project_ref, day)
);
