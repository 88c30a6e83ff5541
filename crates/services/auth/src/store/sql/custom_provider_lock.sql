-- a lock of this project alone, whoever else is in the database
select pg_advisory_xact_lock(
  hashtextextended('auth.custom_oauth_providers ' || coalesce(current_setting('rowhouse.app_id', true), ''), 0))
