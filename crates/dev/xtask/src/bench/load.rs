//! The two load generators: wrk for HTTP, pgbench for PostgreSQL itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::stack::Server;
use crate::process::output;

/// What one run of either generator gave.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    pub per_second: f64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub requests: f64,
}

pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

/// wrk with one thread, which leaves most of two cores to the server.
pub fn wrk(dir: &Path, port: u16, request: &Request, connections: u32, seconds: u64) -> Result<Figures> {
    let file = dir.join("wrk.lua");
    std::fs::write(&file, lua(request))?;
    let url = format!("http://127.0.0.1:{port}{}", request.path);
    let text = output(
        Command::new("wrk")
            .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--latency", "-s"])
            .arg(&file)
            .arg(url),
    )
    .context("wrk (scripts/setup.sh bench installs it)")?;
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT ")).context("wrk printed no result")?;
    let n: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [requests, micros, errors, mean, p50, p99] = n[..] else { bail!("unexpected result of wrk: {line}") };
    if errors > 0.0 {
        bail!("{errors} of {requests} requests failed\n{text}");
    }
    Ok(Figures {
        per_second: requests / (micros / 1e6),
        mean_ms: mean / 1e3,
        p50_ms: p50 / 1e3,
        p99_ms: p99 / 1e3,
        requests,
    })
}

fn lua(request: &Request) -> String {
    let mut text = format!("wrk.method = {:?}\n", request.method);
    for (name, value) in request.headers {
        text.push_str(&format!("wrk.headers[{name:?}] = {value:?}\n"));
    }
    if !request.body.is_empty() {
        text.push_str(&format!("wrk.body = [==[{}]==]\n", request.body));
    }
    text.push_str(
        "done = function(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('RESULT %d %d %d %.1f %d %d\\n', summary.requests, summary.duration, failed,
    latency.mean, latency:percentile(50), latency:percentile(99)))
end
",
    );
    text
}

/// pgbench with prepared statements over the private socket, as the role the services connect as.
pub fn pgbench(
    dir: &Path,
    server: &Server,
    script: &(String, Vec<(String, String)>),
    clients: u32,
    seconds: u64,
) -> Result<Figures> {
    let file = dir.join("bench.pgbench");
    std::fs::write(&file, &script.0)?;
    let mut command = Command::new(crate::postgres::bin_dir()?.join("pgbench"));
    command.args(["-n", "-M", "prepared", "-j", "1", "-c", &clients.to_string(), "-T", &seconds.to_string()]);
    command.args(["-h", &server.socket_dir, "-p", &server.port, "-U", "authenticator"]).arg("-f").arg(&file);
    for (name, value) in &script.1 {
        command.arg("-D").arg(format!("{name}={value}"));
    }
    let text = output(command.arg("postgres"))?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<f64>().ok())
    };
    let per_second = number("tps = ").with_context(|| format!("pgbench printed no rate\n{text}"))?;
    let mean_ms = number("latency average = ").unwrap_or_default();
    Ok(Figures { per_second, mean_ms, ..Figures::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_as_lua() {
        let request = Request { method: "POST", path: "/", headers: &[("a", "b\"c")], body: "{\"x\":1}" };
        let text = lua(&request);
        assert!(text.starts_with(
            "wrk.method = \"POST\"\nwrk.headers[\"a\"] = \"b\\\"c\"\nwrk.body = [==[{\"x\":1}]==]\n"
        ));
    }
}
