-- Messages to users. A row is written in the transaction that makes the message necessary and sent after it; it is
-- deleted once it is sent. What could not be sent stays for a while, with the reason and without its codes.
reset role;
create table if not exists rowhouse.mail_outbox (
  {app_column}
  id bigint generated always as identity,
  created_at timestamptz not null default now(),
  channel text not null default 'email',
  kind text not null,
  recipient text not null,
  user_id uuid not null,
  data jsonb not null default '{}',
  attempts integer not null default 0,
  -- Also the end of the claim of whoever is sending it.
  next_attempt_at timestamptz not null default now(),
  expires_at timestamptz,
  failed_at timestamptz,
  reason text,
  constraint mail_outbox_pkey primary key ({app}id),
  constraint mail_outbox_channel_check check (channel in ('email', 'sms'))
);
-- Databases of earlier versions.
alter table rowhouse.mail_outbox
  add column if not exists expires_at timestamptz,
  add column if not exists failed_at timestamptz,
  add column if not exists reason text,
  drop column if exists sent_at;
create index if not exists mail_outbox_waiting_idx on rowhouse.mail_outbox ({app}next_attempt_at) where failed_at is null;
alter table rowhouse.mail_outbox owner to supabase_auth_admin;
alter table rowhouse.mail_outbox enable row level security;
