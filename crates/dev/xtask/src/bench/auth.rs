//! Auth: a signed-in user's own record, and the exchange of a refresh token.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;

use super::accounts::{Account, sign_up};
use super::capture::capture;
use super::contest::{Case, Contest};
use super::http::Http;
use super::load::{Answer, Fixed, Request, Talk, request};
use super::stack::Stack;

const AIM: f64 = 0.4;
/// The most connections that are measured.
const CLIENTS: usize = 16;
const TOKEN: &str = "/auth/v1/token?grant_type=refresh_token";

pub fn command(stack: &Stack, contest: &Contest) -> Result<()> {
    contest.print_head();
    user(stack, contest)?;
    refresh(stack, contest)?;
    contest.print_foot();
    Ok(())
}

/// `GET /user`.
fn user(stack: &Stack, contest: &Contest) -> Result<()> {
    let account = sign_up(stack, "bench-user")?;
    let authorization = format!("Bearer {}", account.access_token);
    let headers = [("apikey", stack.key("ANON_KEY")), ("authorization", authorization.as_str())];
    let mut http = Http::connect(stack.api_port)?;
    let mut ask = || http.send("GET", "/auth/v1/user", &headers, "")?.expect(200).map(drop);
    for _ in 0..20 {
        ask()?;
    }
    let captured = capture(&contest.server, "auth.users", ask)?;
    let bytes = request(Request { method: "GET", path: "/auth/v1/user", headers: &headers, body: "" });
    let talkers = |connections: usize| -> Result<Vec<Box<dyn Talk>>> {
        let talker = || Box::new(Fixed::new(Arc::clone(&bytes), 200)) as Box<dyn Talk>;
        Ok((0..connections).map(|_| talker()).collect())
    };
    contest.measure(&Case {
        name: "GET /user",
        talkers: &talkers,
        captured: &captured,
        expression: &|_| None,
        counter: None,
        reset: "",
        aim: AIM,
    })
}

/// Each connection, and each client of pgbench, has a user and a chain of tokens of its own.
fn refresh(stack: &Stack, contest: &Contest) -> Result<()> {
    let key = stack.key("ANON_KEY").to_owned();
    let model = sign_up(stack, "bench-refresh")?;
    let accounts: Vec<Account> =
        (0..CLIENTS).map(|n| sign_up(stack, &format!("bench-refresh-{n}"))).collect::<Result<_>>()?;
    let mut http = Http::connect(stack.api_port)?;
    let (mut held, mut before) = (model.refresh_token.clone(), String::new());
    let mut exchange = || -> Result<()> {
        let body = json!({ "refresh_token": held }).to_string();
        let answer = http.send("POST", TOKEN, &[("apikey", &key)], &body)?.expect(200)?.json()?;
        before.clone_from(&held);
        held = answer["refresh_token"].as_str().context("no refresh_token in the answer")?.to_owned();
        Ok(())
    };
    for _ in 0..20 {
        exchange()?;
    }
    let captured = capture(&contest.server, "auth.refresh_tokens", exchange)?;
    for n in 0..CLIENTS {
        sign_up(stack, &format!("pgbench-{n}"))?;
    }
    contest.server.psql(NUMBERED)?;
    let talkers = |connections: usize| -> Result<Vec<Box<dyn Talk>>> {
        let fresh = |n: usize| sign_in(stack, &accounts[n]);
        let talker = |n| Ok(Box::new(Refresher { key: key.clone(), held: fresh(n)? }) as Box<dyn Talk>);
        (0..connections).map(talker).collect()
    };
    contest.measure(&Case {
        name: "refresh a token",
        talkers: &talkers,
        captured: &captured,
        expression: &|value| expression(value, &model, &before, &held),
        counter: Some("chain"),
        reset: RESET,
        aim: AIM,
    })
}

/// pgbench's clients begin their chains anew.
const RESET: &str = "delete from auth.refresh_tokens where token like 'pgbench-%';
insert into auth.refresh_tokens (instance_id, token, user_id, session_id, revoked, created_at, updated_at)
select '00000000-0000-0000-0000-000000000000', 'pgbench-' || n || '-0', u.id::text, s.id, false, now(), now()
from generate_series(0, 15) n
join auth.users u on u.email = 'pgbench-' || n || '@example.com'
join auth.sessions s on s.user_id = u.id";

/// Gives the users of pgbench's clients, and their sessions, ids that a script can put together.
const NUMBERED: &str = "set session_replication_role = replica;
create temporary table numbered as
  select u.id as user_id, s.id as session_id,
    ('00000000-0000-4000-8000-' || n)::uuid as new_user, ('00000000-0000-4000-9000-' || n)::uuid as new_session
  from auth.users u
  join auth.sessions s on s.user_id = u.id,
  lateral (select lpad(substring(u.email from '[0-9]+'), 12, '0') as n) as number
  where u.email like 'pgbench-%';
update auth.users t set id = n.new_user from numbered n where t.id = n.user_id;
update auth.identities t set user_id = n.new_user from numbered n where t.user_id = n.user_id;
update auth.mfa_amr_claims t set session_id = n.new_session from numbered n where t.session_id = n.session_id;
update auth.sessions t set id = n.new_session, user_id = n.new_user from numbered n where t.id = n.session_id";

/// What pgbench's client says instead of the values of the request that was watched.
fn expression(value: &str, model: &Account, before: &str, after: &str) -> Option<String> {
    let own = |group: &str| format!("('00000000-0000-4000-{group}-' || lpad(:client_id, 12, '0'))::uuid");
    if value == before {
        Some("('pgbench-' || :client_id || '-' || (:chain::int - 1))".to_owned())
    } else if value == after {
        Some("('pgbench-' || :client_id || '-' || :chain)".to_owned())
    } else if value == model.user {
        Some(own("8000"))
    } else if value == model.session {
        Some(own("9000"))
    } else if value.len() == 36 && value.split('-').map(str::len).eq([8, 4, 4, 4, 12]) {
        Some("gen_random_uuid()".to_owned())
    } else {
        None
    }
}

fn sign_in(stack: &Stack, account: &Account) -> Result<String> {
    let mut http = Http::connect(stack.api_port)?;
    let body = super::accounts::credentials(&account.email);
    let headers = [("apikey", stack.key("ANON_KEY"))];
    let answer = http.send("POST", "/auth/v1/token?grant_type=password", &headers, &body)?.expect(200)?;
    let token = answer.json()?["refresh_token"].as_str().map(str::to_owned);
    token.context("no refresh_token in the answer")
}

/// Exchanges its token for the next one, again and again.
struct Refresher {
    key: String,
    held: String,
}

impl Talk for Refresher {
    fn next(&mut self, answer: Option<Answer>) -> Result<Arc<[u8]>> {
        if let Some(answer) = answer {
            let body: serde_json::Value = serde_json::from_slice(answer.body)?;
            let token = body["refresh_token"].as_str();
            self.held = token.with_context(|| format!("{}: {body}", answer.status))?.to_owned();
        }
        let body = json!({ "refresh_token": self.held }).to_string();
        let headers = [("apikey", self.key.as_str()), ("content-type", "application/json")];
        Ok(request(Request { method: "POST", path: TOKEN, headers: &headers, body: &body }))
    }
}
