//! The text of `postgresql.conf` and `pg_hba.conf`, and what is fixed on the server's command line.

use crate::error::Error;
use crate::settings::Tuning;
use std::path::Path;

/// The port in the name of the socket; each server has a socket directory of its own.
pub(crate) const PORT: u16 = 5432;

/// Whoever reaches the private socket directory is trusted; the network never is.
pub(crate) const HBA: &str = "# Written by Rowhouse.\nlocal all all trust\nlocal replication all trust\n";

/// Small, safe, and ready for logical decoding. Launcher processes that an idle server does not need are off.
const BASE: &[(&str, &str)] = &[
    ("wal_level", "logical"),
    ("max_wal_senders", "8"),
    ("max_replication_slots", "8"),
    ("min_wal_size", "4MB"),
    ("max_wal_size", "256MB"),
    ("checkpoint_timeout", "15min"),
    ("max_slot_wal_keep_size", "1GB"),
    ("work_mem", "4MB"),
    ("maintenance_work_mem", "32MB"),
    ("max_worker_processes", "4"),
    ("max_parallel_workers", "2"),
    ("max_logical_replication_workers", "0"),
    ("autovacuum_max_workers", "2"),
    ("huge_pages", "off"),
    ("jit", "off"),
    ("datestyle", "iso, mdy"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("default_text_search_config", "pg_catalog.english"),
    ("password_encryption", "scram-sha-256"),
    ("log_checkpoints", "off"),
    ("log_autovacuum_min_duration", "-1"),
];

/// What no configuration file may change: where the server listens, and that no statement text (it may hold a
/// password) reaches the log.
const FIXED: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_min_error_statement", "panic"),
    ("log_statement", "none"),
];

/// The whole of `postgresql.conf`.
pub(crate) fn postgresql_conf(tuning: &Tuning) -> Result<String, Error> {
    let mut text = String::from("# Written by Rowhouse when the instance is created; later lines win.\n");
    let mut line = |name: &str, value: &str| {
        text.push_str(name);
        text.push_str(" = '");
        text.push_str(&value.replace('\'', "''"));
        text.push_str("'\n");
    };
    line("shared_buffers", &format!("{}MB", tuning.shared_buffers_mb));
    line("max_connections", &tuning.max_connections.to_string());
    for (name, value) in BASE {
        line(name, value);
    }
    for (name, value) in &tuning.settings {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
        let refused = |reason| Error::Tuning { name: name.escape_default().to_string(), reason };
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(refused("not the name of a PostgreSQL setting"));
        }
        if value.chars().any(char::is_control) || value.contains('\\') {
            return Err(refused("the value may not hold control characters or backslashes"));
        }
        line(name, value);
    }
    Ok(text)
}

/// The arguments of `postgres` for one data directory; `extra` settings come first, so that they cannot
/// override what is fixed.
pub(crate) fn arguments(
    data: &Path,
    socket_dir: &Path,
    name: &str,
    extra: &[(&str, &str)],
) -> Vec<std::ffi::OsString> {
    let mut args: Vec<std::ffi::OsString> =
        vec!["-D".into(), data.into(), "-k".into(), socket_dir.into(), "-p".into(), PORT.to_string().into()];
    let named = [("cluster_name", name)];
    for (setting, value) in extra.iter().chain(&named).chain(FIXED) {
        args.push("-c".into());
        args.push(format!("{setting}={value}").into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_settings_come_last_and_are_quoted() {
        let text = postgresql_conf(&Tuning::default().with("search_path", "a, 'b'")).unwrap();
        assert!(text.ends_with("search_path = 'a, ''b'''\n"), "{text}");
        assert!(text.contains("shared_buffers = '16MB'\n"));
    }

    #[test]
    fn a_setting_cannot_smuggle_in_another_line() {
        for (name, value) in [("a\nb", "1"), ("", "1"), ("a b", "1"), ("a", "1\nfsync = off"), ("a", "\\")] {
            assert!(postgresql_conf(&Tuning::default().with(name, value)).is_err(), "{name:?} {value:?}");
        }
    }
}
