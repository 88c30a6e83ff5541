-- Messages to users. A row is written in the transaction that makes the message necessary and sent after it.
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
  next_attempt_at timestamptz not null default now(),
  sent_at timestamptz,
  constraint mail_outbox_pkey primary key ({app}id),
  constraint mail_outbox_channel_check check (channel in ('email', 'sms'))
);
create index if not exists mail_outbox_due_idx on rowhouse.mail_outbox (next_attempt_at) where sent_at is null;
alter table rowhouse.mail_outbox owner to supabase_auth_admin;
alter table rowhouse.mail_outbox enable row level security;
