//! What one request made PostgreSQL execute, read from the server's log, as a pgbench script.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};

use super::stack::Server;

/// A statement with the values of its parameters (`None` is null).
#[derive(Debug, PartialEq)]
pub struct Statement {
    pub sql: String,
    pub parameters: Vec<Option<String>>,
}

/// What one request made one session execute.
#[derive(Debug)]
pub struct Captured {
    pub statements: Vec<Statement>,
    /// The role that the session had logged in as.
    user: String,
}

/// Runs `request` while the server logs every statement; the statements of the session that touched `table`.
pub fn capture(server: &Server, table: &str, mut request: impl FnMut() -> Result<()>) -> Result<Captured> {
    let log = server.log()?;
    server.psql("alter system set log_min_duration_statement = 0")?;
    server.psql("select pg_reload_conf()")?;
    // Sessions take the setting up before their next statement; the first request may still be too early.
    let mut found = None;
    for _ in 0..20 {
        let from = log.metadata()?.len();
        request()?;
        let text = read_from(&log, from)?;
        found = of_session(&text, table);
        if found.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    server.psql("alter system reset log_min_duration_statement")?;
    server.psql("select pg_reload_conf()")?;
    let (session, statements) = found
        .with_context(|| format!("the log {} does not show the statements of the request", log.display()))?;
    let pid: u32 = session.parse().with_context(|| format!("a process number, not {session:?}"))?;
    let user = server.psql(&format!("select usename from pg_stat_activity where pid = {pid}"))?;
    Ok(Captured { statements, user: user.trim().to_owned() })
}

fn read_from(log: &Path, from: u64) -> Result<String> {
    let mut file = std::fs::File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Log entries: a line and the lines after it that begin with a tab.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => {
                entry.push('\n');
                entry.push_str(more);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

/// The session that touched the table: its process and what it executed.
fn of_session(text: &str, table: &str) -> Option<(String, Vec<Statement>)> {
    let mut sessions: Vec<(String, Vec<Statement>)> = Vec::new();
    // The parameters of a bind are logged too; only those right after an execution count.
    let mut follows_execution = false;
    for entry in entries(text) {
        let Some((prefix, rest)) = entry.split_once("LOG:").or_else(|| entry.split_once("DETAIL:")) else {
            continue;
        };
        let session =
            prefix.split('[').nth(1).and_then(|p| p.split(']').next()).unwrap_or_default().to_owned();
        let at = match sessions.iter().position(|(name, _)| *name == session) {
            Some(at) => at,
            None => {
                sessions.push((session, Vec::new()));
                sessions.len() - 1
            }
        };
        if let Some(sql) = executed(rest) {
            sessions[at].1.push(Statement { sql, parameters: Vec::new() });
            follows_execution = true;
            continue;
        }
        if let (true, Some(parameters), Some(last)) =
            (follows_execution, parameters(rest), sessions[at].1.last_mut())
        {
            last.parameters = parameters;
        }
        follows_execution = false;
    }
    sessions.into_iter().find(|(_, list)| list.iter().any(|s| s.sql.contains(table)))
}

/// The text of `duration: 0.1 ms  execute name: text` without comments; parse and bind have entries of their own.
fn executed(entry: &str) -> Option<String> {
    let (duration, rest) = entry.split_once(" ms  ")?;
    let text = rest.strip_prefix("execute ")?.split_once(": ")?.1;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let text = lines.join("\n");
    duration.trim_start().starts_with("duration:").then(|| text.trim().trim_end_matches(';').to_owned())
}

/// `parameters: $1 = 'a', $2 = NULL`
fn parameters(entry: &str) -> Option<Vec<Option<String>>> {
    let rest = entry.trim_start();
    let mut rest = rest.strip_prefix("parameters: ").or_else(|| rest.strip_prefix("Parameters: "))?;
    let mut values = Vec::new();
    while let Some((_, value)) = rest.split_once(" = ") {
        if let Some(after) = value.strip_prefix("NULL") {
            values.push(None);
            rest = after;
            continue;
        }
        let mut text = String::new();
        let mut chars = value.strip_prefix('\'')?.char_indices().peekable();
        let mut end = value.len();
        while let Some((at, c)) = chars.next() {
            match (c, chars.peek()) {
                ('\'', Some((_, '\''))) => {
                    text.push('\'');
                    chars.next();
                }
                ('\'', _) => {
                    end = at + 2;
                    break;
                }
                (c, _) => text.push(c),
            }
        }
        values.push(Some(text));
        rest = value.get(end..).unwrap_or_default();
    }
    Some(values)
}

/// A script for pgbench.
pub struct Script {
    pub text: String,
    /// Values for `-D`.
    pub variables: Vec<(String, String)>,
    pub user: String,
}

/// How the statements travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// One after the other, each with its own round trip, between BEGIN and COMMIT.
    Singly,
    /// In one pipeline, which is one transaction: as we send them.
    Together,
}

impl Captured {
    /// A script of one transaction. `expression` may give an SQL expression for a value instead of the value.
    pub fn script(&self, travel: Travel, expression: impl Fn(&str) -> Option<String>) -> Script {
        let mut variables = Vec::new();
        let mut body = String::new();
        for (n, statement) in self.statements.iter().enumerate() {
            let mut sql = statement.sql.clone();
            for (m, value) in statement.parameters.iter().enumerate().rev() {
                let name = format!("v{n}_{m}");
                let written = match value {
                    None => "null".to_owned(),
                    // A variable cannot be empty.
                    Some(value) if value.is_empty() => "''".to_owned(),
                    Some(value) => expression(value).unwrap_or_else(|| {
                        variables.push((name.clone(), value.clone()));
                        format!(":{name}")
                    }),
                };
                sql = sql.replace(&format!("${}", m + 1), &written);
            }
            body.push_str(&sql);
            body.push_str(";\n");
        }
        let opens = self.statements.first().is_some_and(|s| s.sql.eq_ignore_ascii_case("begin"));
        let text = match travel {
            Travel::Together => format!("\\startpipeline\n{body}\\endpipeline\n"),
            Travel::Singly if opens => body,
            Travel::Singly => format!("begin;\n{body}commit;\n"),
        };
        Script { text, variables, user: self.user.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-01 00:00:00 UTC [7] LOG:  duration: 0.010 ms  parse s1: select set_config($1, $2, true)
2026-01-01 00:00:00 UTC [7] LOG:  duration: 0.010 ms  execute s1: select set_config($1, $2, true)
2026-01-01 00:00:00 UTC [7] DETAIL:  parameters: $1 = 'role', $2 = 'it''s, $3 = x'
2026-01-01 00:00:00 UTC [8] LOG:  duration: 0.010 ms  execute s1: select 1
2026-01-01 00:00:00 UTC [7] LOG:  duration: 0.010 ms  bind s2: select * from items where id = $1
2026-01-01 00:00:00 UTC [7] DETAIL:  parameters: $1 = 'of the bind'
2026-01-01 00:00:00 UTC [7] LOG:  duration: 0.010 ms  execute s2: select *
\tfrom items where id = $1
2026-01-01 00:00:00 UTC [7] DETAIL:  Parameters: $1 = NULL
";

    #[test]
    fn the_session_of_the_table_is_read() {
        let (session, found) = of_session(LOG, "items").unwrap();
        assert_eq!((&*session, found.len()), ("7", 2));
        assert_eq!(found[0].parameters, [Some("role".to_owned()), Some("it's, $3 = x".to_owned())]);
        assert_eq!(
            found[1],
            Statement { sql: "select *\nfrom items where id = $1".into(), parameters: vec![None] }
        );
    }

    #[test]
    fn a_script_has_variables_or_expressions() {
        let (_, statements) = of_session(LOG, "items").unwrap();
        let captured = Captured { statements, user: "u".to_owned() };
        let script = captured.script(Travel::Together, |_| None);
        assert!(script.text.starts_with("\\startpipeline\nselect set_config(:v0_0, :v0_1, true);\n"));
        assert!(script.text.contains("where id = null;\n\\endpipeline"));
        assert_eq!(script.variables.len(), 2);
        let script =
            captured.script(Travel::Singly, |value| (value == "role").then(|| "upper('r')".to_owned()));
        assert!(script.text.starts_with("begin;\nselect set_config(upper('r'), :v0_1, true);\n"));
        assert!(script.text.ends_with(";\ncommit;\n"));
        assert_eq!(script.variables.len(), 1);
    }
}
