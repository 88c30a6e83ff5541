-- What a shard adds to its auth schema once that is there. Run by the superuser, repeatable.
create or replace trigger rowhouse_keep_users after insert or delete on auth.users
  for each row execute function rowhouse.keep_users();
