//! Processor time and memory of processes, from `/proc` (Linux; elsewhere the columns stay empty).

use std::path::Path;

/// Clock ticks are 10 ms on every Linux that Rust supports.
const TICK_SECONDS: f64 = 0.01;

struct Stat {
    parent: u32,
    ticks: u64,
    /// Of children that have ended.
    ticks_of_ended: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may hold anything; the fields follow the last one.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let sum =
        |at: usize| Some(fields.get(at)?.parse::<u64>().ok()? + fields.get(at + 1)?.parse::<u64>().ok()?);
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks: sum(11)?, ticks_of_ended: sum(13)? })
}

/// Processor seconds of one process.
pub fn seconds(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |stat| stat.ticks as f64 * TICK_SECONDS)
}

/// Processor seconds of the children of one process, ended ones included.
pub fn seconds_of_children(pid: u32) -> f64 {
    let living: u64 =
        processes().filter_map(stat).filter(|stat| stat.parent == pid).map(|stat| stat.ticks).sum();
    let ended = stat(pid).map_or(0, |stat| stat.ticks_of_ended);
    (living + ended) as f64 * TICK_SECONDS
}

/// Resident memory in MB.
pub fn resident_mb(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<f64>().ok());
    kb.unwrap_or_default() / 1024.0
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}
