-- Deleted projects whose files may still be there: the files are no part of any database.
create table catalog.file_removals (
  project_ref text primary key,
  deleted_at timestamptz not null default now()
);
