//! One request through HTTP against pgbench running the very statements that it made PostgreSQL execute: in turns,
//! with the same number of connections, in one run.

use std::time::Duration;

use anyhow::Result;

use super::capture::{Captured, Script, Travel};
use super::cpu;
use super::load::{Figures, Load, Talk, pgbench, run};
use super::stack::{Server, Stack};
use crate::args::Args;

/// At how many connections everything is measured.
const CONNECTIONS: [usize; 2] = [1, 16];

pub struct Contest<'a> {
    stack: &'a Stack,
    pub server: Server,
    seconds: u64,
    rounds: u64,
    verbose: bool,
}

/// What is measured.
pub struct Case<'a> {
    pub name: &'a str,
    /// The conversations of so many connections.
    pub talkers: &'a dyn Fn(usize) -> Result<Vec<Box<dyn Talk>>>,
    pub captured: &'a Captured,
    /// An SQL expression instead of a value, for pgbench.
    pub expression: &'a dyn Fn(&str) -> Option<String>,
    /// A variable of pgbench's that counts each client's transactions from 1.
    pub counter: Option<&'a str>,
    /// Executed before every run of either side.
    pub reset: &'a str,
    /// The share of pgbench's rate that is aimed at with 16 connections.
    pub aim: f64,
}

impl<'a> Contest<'a> {
    pub fn new(stack: &'a Stack, args: &Args) -> Result<Self> {
        Ok(Contest {
            stack,
            server: stack.server()?,
            seconds: args.number("seconds", 3)?,
            rounds: args.number("rounds", 3)?,
            verbose: args.flag("verbose"),
        })
    }

    /// What the figures mean.
    pub fn print_head(&self) {
        println!("{}", machine());
        println!(
            "{} rounds of {} s for each column, in turns; pgbench -M prepared over the private Unix socket; \
             both generators have one thread\n",
            self.rounds, self.seconds
        );
        println!(
            "| case | connections | pgbench tx/s | in one pipeline tx/s | HTTP req/s | ratio (aim at 16) \
             | ratio to pipeline | HTTP p50 / p99 ms | added mean ms | CPU µs a request: Rowhouse, PostgreSQL, client |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
    }

    pub fn measure(&self, case: &Case) -> Result<()> {
        let script = |travel| {
            let mut script = case.captured.script(travel, case.expression);
            if let Some(name) = case.counter {
                script.text.insert_str(0, &format!("\\set {name} :{name} + 1\n"));
                script.variables.push((name.to_owned(), "0".to_owned()));
            }
            script
        };
        let (singly, together) = (script(Travel::Singly), script(Travel::Together));
        if self.verbose {
            println!("{}", singly.text);
        }
        for connections in CONNECTIONS {
            let mut line = Line::default();
            for _ in 0..self.rounds {
                line.singly.add(self.pgbench(case, &singly, connections)?);
                line.http(self, case, connections)?;
                line.together.add(self.pgbench(case, &together, connections)?);
            }
            line.print(case, connections);
        }
        Ok(())
    }

    fn pgbench(&self, case: &Case, script: &Script, connections: usize) -> Result<Figures> {
        self.reset(case)?;
        pgbench(self.stack.path(), &self.server, script, connections, self.seconds)
    }

    fn reset(&self, case: &Case) -> Result<()> {
        if case.reset.is_empty() { Ok(()) } else { self.server.psql(case.reset).map(drop) }
    }

    pub fn print_foot(&self) {
        println!("\nresident memory of the program: {:.0} MB\n", cpu::resident_mb(self.stack.program.pid()));
    }
}

/// The figures of a case at one number of connections.
#[derive(Default)]
struct Line {
    singly: Figures,
    together: Figures,
    http: Figures,
    program: f64,
    postgres: f64,
    client: f64,
}

impl Line {
    fn http(&mut self, contest: &Contest, case: &Case, connections: usize) -> Result<()> {
        contest.reset(case)?;
        let talkers = (case.talkers)(connections)?;
        let spent = || {
            let program = cpu::seconds(contest.stack.program.pid());
            (program, cpu::seconds_of_children(contest.server.postmaster), cpu::seconds(std::process::id()))
        };
        let before = spent();
        let load = Load {
            port: contest.stack.api_port,
            duration: Duration::from_secs(contest.seconds),
            warm_up: Duration::ZERO,
        };
        self.http.add(run(&load, talkers)?);
        let after = spent();
        self.program += after.0 - before.0;
        self.postgres += after.1 - before.1;
        self.client += after.2 - before.2;
        Ok(())
    }

    fn print(&mut self, case: &Case, connections: usize) {
        let [p50, p99] = self.http.quantiles([0.5, 0.99]);
        let ratio = |other: &Figures| 100.0 * self.http.per_second() / other.per_second();
        let micros = |seconds: f64| 1e6 * seconds / self.http.requests.max(1.0);
        println!(
            "| {} | {connections} | {:.0} | {:.0} | {:.0} | {:.0} % ({:.0} %) | {:.0} % | {p50:.2} / {p99:.2} | {:+.2} | {:.0}, {:.0}, {:.0} |",
            case.name,
            self.singly.per_second(),
            self.together.per_second(),
            self.http.per_second(),
            ratio(&self.singly),
            100.0 * case.aim,
            ratio(&self.together),
            self.http.mean_ms() - self.singly.mean_ms(),
            micros(self.program),
            micros(self.postgres),
            micros(self.client),
        );
    }
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
