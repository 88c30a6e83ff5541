//! pgbench: the same statements without us.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Figures;
use crate::bench::capture::Script;
use crate::bench::stack::Server;
use crate::process::output;

/// pgbench with prepared statements over the private socket, as the role that the service connects as.
pub fn pgbench(
    dir: &Path,
    server: &Server,
    script: &Script,
    clients: usize,
    seconds: u64,
) -> Result<Figures> {
    let file = dir.join("bench.pgbench");
    std::fs::write(&file, &script.text)?;
    let mut command = Command::new(crate::postgres::bin_dir()?.join("pgbench"));
    command.args(["-n", "-M", "prepared", "-j", "1", "-c", &clients.to_string(), "-T", &seconds.to_string()]);
    command.args(["-h", &server.socket_dir, "-p", &server.port, "-U", &script.user]).arg("-f").arg(&file);
    for (name, value) in &script.variables {
        command.arg("-D").arg(format!("{name}={value}"));
    }
    let text = output(command.arg("postgres"))?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<f64>().ok())
    };
    let per_second = number("tps = ").with_context(|| format!("pgbench printed no rate\n{text}"))?;
    let requests = per_second * seconds as f64;
    let latency_sum_ms = number("latency average = ").unwrap_or_default() * requests;
    Ok(Figures { requests, seconds: seconds as f64, latency_sum_ms, latencies: Vec::new() })
}
