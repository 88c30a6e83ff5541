//! Reads of 1 and 20 rows under row-level security and inserts, through HTTP and by pgbench with the same SQL.

use anyhow::{Context, Result};
use serde_json::Value;

use super::capture::{script, statements};
use super::cpu;
use super::http::Http;
use super::load::{Figures, Request, pgbench, wrk};
use super::stack::{Server, Stack};
use crate::args::Args;

const CONNECTIONS: [u32; 2] = [1, 16];

struct Case {
    name: &'static str,
    method: &'static str,
    path: String,
    body: String,
}

pub fn command(args: &Args) -> Result<()> {
    let seconds = args.number("seconds", 5)?;
    let stack = Stack::start(include_str!("../../fixtures/bench.sql"))?;
    let server = stack.server()?;
    let token = member(&stack, &server)?;
    let cases = cases(&server, &token.user)?;
    let authorization = format!("Bearer {}", token.bearer);
    let headers = [
        ("apikey", stack.key("ANON_KEY")),
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("prefer", "return=minimal"),
    ];
    println!(
        "{}\n{seconds} s each; pgbench -M prepared over the same Unix socket, wrk with one thread\n",
        machine()
    );
    println!(
        "| case | connections | pgbench tx/s | pgbench pipelined tx/s | HTTP req/s | ratio | ratio to pipelined \
         | HTTP p50 / p99 ms | added mean ms | CPU µs per request: Rowhouse, PostgreSQL |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for case in &cases {
        let one = || {
            let mut http = Http::connect(stack.api_port)?;
            let expected = if case.method == "GET" { 200 } else { 201 };
            http.send(case.method, &case.path, &headers, &case.body)?.expect(expected).map(drop)
        };
        for _ in 0..20 {
            one()?;
        }
        let executed = statements(&server, "bench_items", one)?;
        let (plain, pipelined) = (script(&executed, false)?, script(&executed, true)?);
        if args.flag("verbose") {
            println!("{}", plain.0);
        }
        let request = Request { method: case.method, path: &case.path, headers: &headers, body: &case.body };
        for connections in CONNECTIONS {
            let direct = pgbench(stack.path(), &server, &plain, connections, seconds)?;
            let pipeline = pgbench(stack.path(), &server, &pipelined, connections, seconds)?;
            wrk(stack.path(), stack.api_port, &request, connections, 1)?;
            let before = Cpu::now(&stack, &server);
            let http = wrk(stack.path(), stack.api_port, &request, connections, seconds)?;
            let spent = Cpu::now(&stack, &server).since(&before);
            row(case.name, connections, [direct, pipeline, http], &spent);
        }
    }
    println!("\nresident memory of the program: {:.0} MB", cpu::resident_mb(stack.program.pid()));
    Ok(())
}

fn row(name: &str, connections: u32, [direct, pipeline, http]: [Figures; 3], spent: &Cpu) {
    println!(
        "| {name} | {connections} | {:.0} | {:.0} | {:.0} | {:.0} % | {:.0} % | {:.2} / {:.2} | {:+.2} | {:.0}, {:.0} |",
        direct.per_second,
        pipeline.per_second,
        http.per_second,
        100.0 * http.per_second / direct.per_second,
        100.0 * http.per_second / pipeline.per_second,
        http.p50_ms,
        http.p99_ms,
        http.mean_ms - direct.mean_ms,
        1e6 * spent.program / http.requests,
        1e6 * spent.postgres / http.requests,
    );
}

struct Cpu {
    program: f64,
    postgres: f64,
}

impl Cpu {
    fn now(stack: &Stack, server: &Server) -> Self {
        let program = cpu::seconds(stack.program.pid());
        Self { program, postgres: cpu::seconds_of_children(server.postmaster) }
    }

    fn since(&self, before: &Self) -> Self {
        Self { program: self.program - before.program, postgres: self.postgres - before.postgres }
    }
}

struct Token {
    user: String,
    bearer: String,
}

/// A new user with 20 rows.
fn member(stack: &Stack, server: &Server) -> Result<Token> {
    let mut http = Http::connect(stack.api_port)?;
    let body = r#"{"email":"bench@example.com","password":"correct-horse-battery"}"#;
    let answer =
        http.send("POST", "/auth/v1/signup", &[("apikey", stack.key("ANON_KEY"))], body)?.expect(200)?;
    let session: Value = answer.json()?;
    let text =
        |value: &Value| value.as_str().map(str::to_owned).context("no session in the answer to sign-up");
    let token = Token { user: text(&session["user"]["id"])?, bearer: text(&session["access_token"])? };
    let mut rows = String::from("insert into public.bench_items (user_id, title) select '");
    rows.push_str(&token.user);
    rows.push_str("', 'mine ' || n from generate_series(1, 20) n");
    server.psql(&rows)?;
    server.psql("vacuum analyze public.bench_items")?;
    Ok(token)
}

fn cases(server: &Server, user: &str) -> Result<Vec<Case>> {
    let mut own = String::from("select min(id) from public.bench_items where user_id = '");
    own.push_str(user);
    own.push('\'');
    let id = server.psql(&own)?;
    let body = serde_json::json!([{"user_id": user, "title": "written", "done": false}]).to_string();
    let read = |name, query: String| Case { name, method: "GET", path: query, body: String::new() };
    Ok(vec![
        read("read 1 row", format!("/rest/v1/bench_items?select=*&id=eq.{}", id.trim())),
        read("read 20 rows", "/rest/v1/bench_items?select=*&order=id&limit=20".to_owned()),
        Case { name: "insert 1 row", method: "POST", path: "/rest/v1/bench_items".to_owned(), body },
    ])
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: unknown processor");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{cores} cores,{}, load before {}",
        model.trim_start_matches(['\t', ':']),
        load.split(' ').next().unwrap_or("?")
    )
}
