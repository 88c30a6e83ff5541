-- Proofs that are good once: assertions of identity providers, messages that wallets signed. A row stays until
-- nobody would accept its proof any more. What a proof says of the session that a flow will end with stands beside it.
reset role;
create table if not exists rowhouse.spent_proofs (
  {app_column}
  proof text not null,
  spent_until timestamptz not null,
  flow_id uuid,
  session_end timestamptz,
  constraint spent_proofs_pkey primary key ({app}proof)
);
create index if not exists spent_proofs_spent_until_idx on rowhouse.spent_proofs ({app}spent_until);
create index if not exists spent_proofs_flow_id_idx on rowhouse.spent_proofs ({app}flow_id) where flow_id is not null;
alter table rowhouse.spent_proofs owner to supabase_auth_admin;
alter table rowhouse.spent_proofs enable row level security;
