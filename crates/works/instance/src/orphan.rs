//! What a killed server leaves behind: its worker processes.
//!
//! When the first process of a server is killed, its workers end by themselves, but one that computes does so only
//! when it next waits for something. Until then PostgreSQL refuses to start on the directory, and rightly so.
//! They are found by their working directory, which only Linux shows; elsewhere we wait for them.

use crate::pidfile::is_postgres_in;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;

/// The PostgreSQL processes that work in this directory. Blocks.
pub(crate) fn find(data: &Path) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| is_postgres_in(*pid, data))
        .collect()
}

/// Tells these processes to end at once, without touching data any further.
pub(crate) fn quit(pids: &[i32]) {
    signal_all(pids, Signal::QUIT);
}

/// Kills whatever still works in a directory that is about to be removed. Blocks.
pub(crate) fn kill_all_in(data: &Path) {
    signal_all(&find(data), Signal::KILL);
}

fn signal_all(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // It may have ended meanwhile, which is what we want.
        let _ = kill_process(pid, signal);
    }
}
