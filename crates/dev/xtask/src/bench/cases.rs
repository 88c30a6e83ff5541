//! The data API: small and heavy reads, writes and a call, all under row-level security.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::accounts::{Account, sign_up};
use super::capture::capture;
use super::contest::{Case, Contest};
use super::http::Http;
use super::load::{Fixed, Request, Talk, request};
use super::stack::Stack;
use crate::args::Args;

/// The aims: for requests of a few rows, and for those that keep PostgreSQL busy.
const SMALL: f64 = 0.65;
const HEAVY: f64 = 0.9;

const EMPTY_NOTES: &str = "truncate public.bench_notes";

struct Shape {
    name: &'static str,
    method: &'static str,
    path: String,
    /// A number at the end of the path to which each connection adds its own, so that none waits for another's row.
    key: Option<i64>,
    body: String,
    /// A word in the statement by which its session is found in the log.
    table: &'static str,
    aim: f64,
    reset: &'static str,
}

pub fn command(stack: &Stack, contest: &Contest, args: &Args) -> Result<()> {
    let account = member(stack, contest)?;
    let authorization = format!("Bearer {}", account.access_token);
    contest.print_head();
    for shape in shapes(contest, &account)? {
        if args.value("case").is_none_or(|wanted| shape.name.contains(wanted)) {
            measure(stack, contest, &authorization, &shape)?;
        }
    }
    contest.print_foot();
    Ok(())
}

fn measure(stack: &Stack, contest: &Contest, authorization: &str, shape: &Shape) -> Result<()> {
    let mut headers = vec![("apikey", stack.key("ANON_KEY")), ("authorization", authorization)];
    if !shape.body.is_empty() {
        headers.push(("content-type", "application/json"));
        headers.push(("prefer", "return=minimal"));
    }
    let Shape { method, path, body, key, .. } = shape;
    let path_of = |connection: usize| match key {
        Some(key) => format!("{path}{}", key + connection as i64),
        None => path.clone(),
    };
    let first = path_of(0);
    let mut http = Http::connect(stack.api_port)?;
    let mut status = 0;
    for _ in 0..20 {
        let answer = http.send(method, &first, &headers, body)?;
        status = answer.status;
        if !(200..300).contains(&status) {
            anyhow::bail!("{}: {status} {}", shape.name, answer.body);
        }
    }
    let captured =
        capture(&contest.server, shape.table, || http.send(method, &first, &headers, body).map(drop))?;
    let talkers = |connections: usize| -> Result<Vec<Box<dyn Talk>>> {
        let bytes = |n: usize| request(Request { method, path: &path_of(n), headers: &headers, body });
        Ok((0..connections).map(|n| Box::new(Fixed::new(bytes(n), status)) as Box<dyn Talk>).collect())
    };
    let expression = |value: &str| {
        let key = key.filter(|key| value.parse() == Ok(*key))?;
        Some(format!("({key}::bigint + :client_id::int)"))
    };
    contest.measure(&Case {
        name: shape.name,
        talkers: &talkers,
        captured: &captured,
        expression: &expression,
        counter: None,
        reset: shape.reset,
        aim: shape.aim,
    })
}

/// A new user with 20 rows.
fn member(stack: &Stack, contest: &Contest) -> Result<Account> {
    let account = sign_up(stack, "bench")?;
    let mut rows = String::from("insert into public.bench_items (user_id, title) select '");
    rows.push_str(&account.user);
    rows.push_str("', 'mine ' || n from generate_series(1, 20) n");
    contest.server.psql(&rows)?;
    contest.server.psql("vacuum analyze")?;
    Ok(account)
}

fn shapes(contest: &Contest, account: &Account) -> Result<Vec<Shape>> {
    let mut own = String::from("select min(id) from public.bench_items where user_id = '");
    own.push_str(&account.user);
    own.push('\'');
    let id: i64 = contest.server.psql(&own)?.trim().parse().context("the id of a row")?;
    let one = |n: i64| json!({ "user_id": account.user, "title": format!("note {n}"), "done": false });
    let thousand = Value::Array((0..1000).map(one).collect()).to_string();
    let read = |name, path: String, table, aim| Shape {
        name,
        method: "GET",
        path,
        key: None,
        body: String::new(),
        table,
        aim,
        reset: "",
    };
    let send = |name, method, path: String, body: String, table| Shape {
        name,
        method,
        path,
        key: None,
        body,
        table,
        aim: SMALL,
        reset: "",
    };
    let notes = || "/rest/v1/bench_notes".to_owned();
    Ok(vec![
        read("read 1 row", format!("/rest/v1/bench_items?select=*&id=eq.{id}"), "bench_items", SMALL),
        read(
            "read 20 rows",
            "/rest/v1/bench_items?select=*&order=id&limit=20".to_owned(),
            "bench_items",
            SMALL,
        ),
        read(
            "embed 3 levels, 20 parents",
            "/rest/v1/bench_customers?select=*,bench_orders(*,bench_lines(*))&order=id&limit=20".to_owned(),
            "bench_customers",
            HEAVY,
        ),
        Shape {
            reset: EMPTY_NOTES,
            ..send("insert 1 row", "POST", notes(), one(1).to_string(), "bench_notes")
        },
        Shape {
            reset: EMPTY_NOTES,
            aim: HEAVY,
            ..send("insert 1,000 rows", "POST", notes(), thousand, "bench_notes")
        },
        Shape {
            key: Some(id),
            ..send(
                "update by key",
                "PATCH",
                "/rest/v1/bench_items?id=eq.".to_owned(),
                json!({ "done": true, "title": "changed" }).to_string(),
                "bench_items",
            )
        },
        send(
            "rpc",
            "POST",
            "/rest/v1/rpc/bench_total".to_owned(),
            json!({ "customer": 7, "factor": 1.5 }).to_string(),
            "bench_total",
        ),
    ])
}
