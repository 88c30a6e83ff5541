//! What a storm of password logins does to the data API of the same program.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::accounts::{credentials, sign_up};
use super::load::{Figures, Fixed, Load, Request, Talk, request, run};
use super::stack::Stack;
use crate::args::Args;

/// Connections that read, and connections that log in.
const READERS: usize = 4;
const LOGINS: usize = 16;
/// The share of the calm latency that is aimed at.
const AIM: f64 = 1.5;

pub fn command(stack: &Stack, args: &Args) -> Result<()> {
    let (seconds, rounds) = (args.number("seconds", 3)?, args.number("rounds", 3)?);
    let account = sign_up(stack, "bench-storm")?;
    let authorization = format!("Bearer {}", account.access_token);
    let headers = [("apikey", stack.key("ANON_KEY")), ("authorization", authorization.as_str())];
    let path = "/rest/v1/bench_customers?select=*&order=id&limit=20";
    let read = request(Request { method: "GET", path, headers: &headers, body: "" });
    let headers = [("apikey", stack.key("ANON_KEY")), ("content-type", "application/json")];
    let path = "/auth/v1/token?grant_type=password";
    let body = credentials(&account.email);
    let login = request(Request { method: "POST", path, headers: &headers, body: &body });

    let (mut calm, mut stormy, mut logins) = (Figures::default(), Figures::default(), Figures::default());
    let load = |warm_up| Load { port: stack.api_port, duration: Duration::from_secs(seconds), warm_up };
    for _ in 0..rounds {
        calm.add(run(&load(Duration::from_millis(200)), talkers(READERS, &read))?);
        let during = std::thread::scope(|scope| {
            let storm = scope.spawn(|| run(&load(Duration::from_millis(200)), talkers(LOGINS, &login)));
            let read = run(&load(Duration::from_millis(200)), talkers(READERS, &read))?;
            let storm = storm.join().map_err(|_| anyhow!("the generator of logins panicked"))??;
            anyhow::Ok((read, storm))
        })?;
        stormy.add(during.0);
        logins.add(during.1);
    }
    print(&mut calm, &mut stormy, &logins);
    Ok(())
}

fn talkers(count: usize, bytes: &Arc<[u8]>) -> Vec<Box<dyn Talk>> {
    (0..count).map(|_| Box::new(Fixed::new(Arc::clone(bytes), 200)) as Box<dyn Talk>).collect()
}

fn print(calm: &mut Figures, stormy: &mut Figures, logins: &Figures) {
    println!(
        "reads of 20 rows over {READERS} connections, without and with {LOGINS} connections that log in by password \
         ({:.0} logins a second)\n",
        logins.per_second()
    );
    println!("| latency | calm ms | storm ms | ratio (aim) |\n|---|---|---|---|");
    let shares = [0.5, 0.95, 0.99];
    let (a, b) = (calm.quantiles(shares), stormy.quantiles(shares));
    let rows = [
        ("mean", calm.mean_ms(), stormy.mean_ms()),
        ("median", a[0], b[0]),
        ("p95", a[1], b[1]),
        ("p99", a[2], b[2]),
    ];
    for (name, calm, stormy) in rows {
        println!(
            "| {name} | {calm:.2} | {stormy:.2} | {:.2} ({AIM}) |",
            stormy / calm.max(f64::MIN_POSITIVE)
        );
    }
}
