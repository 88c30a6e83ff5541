//! Connection strings: `postgresql://` URLs and libpq's `key=value` form.
//!
//! Source of the grammar: PostgreSQL documentation, "Connection Strings".

use crate::config::{Config, Host, Tls};
use crate::error::Error;
use percent_encoding::percent_decode_str;
use std::time::Duration;

impl Config {
    /// Parses a connection string. What it leaves out is PostgreSQL's default: the local socket, port 5432,
    /// user `postgres`, the database named like the user. The environment is not looked at.
    ///
    /// # Errors
    /// [`Error::Config`] names the part that cannot be understood, never the password.
    pub fn from_url(url: &str) -> Result<Config, Error> {
        let mut parts = Parts::default();
        match url.strip_prefix("postgresql://").or_else(|| url.strip_prefix("postgres://")) {
            Some(rest) => parts.read_url(rest)?,
            None => parts.read_pairs(url)?,
        }
        parts.finish()
    }
}

#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<String>,
    dbname: Option<String>,
    application_name: Option<String>,
    options: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    connect_timeout: Option<String>,
}

fn bad(what: impl Into<String>) -> Error {
    Error::Config(what.into())
}

fn decode(text: &str) -> Result<String, Error> {
    percent_decode_str(text)
        .decode_utf8()
        .map(|s| s.into_owned())
        .map_err(|_| bad("the connection URL is not UTF-8 once percent-decoded"))
}

impl Parts {
    fn read_url(&mut self, rest: &str) -> Result<(), Error> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((c, h)) => (c, h),
            None => ("", authority),
        };
        if !credentials.is_empty() {
            let (user, password) = match credentials.split_once(':') {
                Some((u, p)) => (u, Some(p)),
                None => (credentials, None),
            };
            self.user = Some(decode(user)?).filter(|u| !u.is_empty());
            self.password = password.map(decode).transpose()?;
        }
        self.read_host(host)?;
        if !path.is_empty() {
            self.dbname = Some(decode(path)?);
        }
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.set(&decode(key)?, decode(value)?)?;
        }
        Ok(())
    }

    fn read_host(&mut self, host: &str) -> Result<(), Error> {
        let (name, port) = match host.strip_prefix('[') {
            Some(v6) => {
                let (name, after) =
                    v6.split_once(']').ok_or_else(|| bad("the connection URL has '[' without ']'"))?;
                (name, after.strip_prefix(':'))
            }
            None => match host.rsplit_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (host, None),
            },
        };
        if !name.is_empty() {
            self.host = Some(decode(name)?);
        }
        self.port = port.filter(|p| !p.is_empty()).map(str::to_owned);
        Ok(())
    }

    /// `key = value` pairs; values may be in single quotes, with `\'` and `\\` inside.
    fn read_pairs(&mut self, text: &str) -> Result<(), Error> {
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (key, after) = rest
                .split_once('=')
                .ok_or_else(|| bad("the connection string has a word without '=' after it"))?;
            let after = after.trim_start();
            let quoted = after.starts_with('\'');
            let mut value = String::new();
            let mut end = after.len();
            let mut chars = after.char_indices().skip(usize::from(quoted));
            while let Some((i, c)) = chars.next() {
                match c {
                    '\\' => value.extend(chars.next().map(|(_, c)| c)),
                    '\'' if quoted => {
                        end = i + 1;
                        break;
                    }
                    c if !quoted && c.is_whitespace() => {
                        end = i;
                        break;
                    }
                    c => value.push(c),
                }
            }
            self.set(key.trim(), value)?;
            rest = after[end..].trim_start();
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), Error> {
        let slot = match key {
            "host" | "hostaddr" => &mut self.host,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "password" => &mut self.password,
            "dbname" => &mut self.dbname,
            "application_name" => &mut self.application_name,
            "options" => &mut self.options,
            "sslmode" => &mut self.sslmode,
            "sslrootcert" => &mut self.sslrootcert,
            "connect_timeout" => &mut self.connect_timeout,
            // Accepted by libpq and without meaning here.
            "fallback_application_name"
            | "keepalives"
            | "keepalives_idle"
            | "target_session_attrs"
            | "channel_binding"
            | "gssencmode"
            | "client_encoding"
            | "pgbouncer" => return Ok(()),
            other => return Err(bad(format!("unknown connection parameter \"{other}\""))),
        };
        *slot = Some(value);
        Ok(())
    }

    fn finish(self) -> Result<Config, Error> {
        let user = self.user.unwrap_or_else(|| "postgres".to_owned());
        let dbname = self.dbname.filter(|d| !d.is_empty()).unwrap_or_else(|| user.clone());
        let port = match self.port {
            Some(p) => p.parse().map_err(|_| bad(format!("\"{p}\" is not a port")))?,
            None => 5432,
        };
        let mut config = match self.host.filter(|h| !h.is_empty()) {
            Some(dir) if dir.starts_with('/') => Config::unix(dir, port, &user, &dbname),
            Some(name) => Config::tcp(&name, port, &user, &dbname),
            None => Config::unix("/var/run/postgresql", port, &user, &dbname),
        };
        debug_assert!(matches!(config.host, Host::Tcp(_) | Host::Unix(_)));
        config.password = self.password;
        if let Some(name) = self.application_name {
            config.application_name = name;
        }
        if let Some(options) = self.options {
            config.options.push(("options".to_owned(), options));
        }
        if let Some(seconds) = self.connect_timeout {
            let seconds: u64 =
                seconds.parse().map_err(|_| bad("connect_timeout is not a number of seconds"))?;
            if seconds > 0 {
                config.connect_timeout = Duration::from_secs(seconds);
            }
        }
        config.tls = match (self.sslmode.as_deref().unwrap_or("prefer"), self.sslrootcert) {
            ("disable", _) => Tls::Disable,
            ("allow" | "prefer", _) => Tls::Prefer,
            ("require", None) => Tls::Require,
            ("require" | "verify-ca" | "verify-full", Some(roots)) => Tls::VerifyFull { roots: roots.into() },
            ("verify-ca" | "verify-full", None) => {
                return Err(bad("sslmode=verify-full needs sslrootcert, a file of root certificates"));
            }
            (other, _) => return Err(bad(format!("unknown sslmode \"{other}\""))),
        };
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let c = Config::from_url("postgresql://u%40x:p%3A@db.example:6543/my%20db?sslmode=require").unwrap();
        assert_eq!(c.host, Host::Tcp("db.example".into()));
        assert_eq!((c.port, c.user.as_str(), c.dbname.as_str()), (6543, "u@x", "my db"));
        assert_eq!(c.password.as_deref(), Some("p:"));
        assert_eq!(c.tls, Tls::Require);
        let c = Config::from_url("postgres://[::1]:5433/x").unwrap();
        assert_eq!((c.host, c.port), (Host::Tcp("::1".into()), 5433));
        let c = Config::from_url("postgresql:///x?host=/tmp/s&port=99").unwrap();
        assert_eq!((c.host, c.port), (Host::Unix("/tmp/s".into()), 99));
        let c = Config::from_url("postgresql://").unwrap();
        assert_eq!((c.user.as_str(), c.dbname.as_str()), ("postgres", "postgres"));
    }

    #[test]
    fn pairs() {
        let c = Config::from_url("host=localhost  port = 1 password='a\\'b c' dbname=d").unwrap();
        assert_eq!(c.password.as_deref(), Some("a'b c"));
        assert_eq!((c.port, c.dbname.as_str()), (1, "d"));
    }

    #[test]
    fn mistakes_are_named_without_the_password() {
        for (bad, says) in [
            ("postgresql://u:secret@h:port/x", "not a port"),
            ("postgresql://u:secret@h/x?foo=1", "foo"),
            ("postgresql://u:secret@h/x?sslmode=verify-full", "sslrootcert"),
            ("nonsense", "="),
        ] {
            let error = Config::from_url(bad).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
