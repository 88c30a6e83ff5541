//! The variables that a front-end's environment file needs.

use crate::projects::ProjectKeys;
use catalog::Project;
use std::str::FromStr;

/// Whose names the variables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnvFormat {
    /// A Vite front-end: only what a browser may see.
    Vite,
    /// Next.js: public values and, without the public prefix, the server's.
    Next,
    /// A server of any kind.
    #[default]
    Plain,
}

impl FromStr for EnvFormat {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "vite" => Ok(EnvFormat::Vite),
            "next" => Ok(EnvFormat::Next),
            "plain" => Ok(EnvFormat::Plain),
            _ => Err("expected vite, next or plain".to_owned()),
        }
    }
}

/// The text of an environment file, one variable a line. `url` is the project's API URL.
pub fn environment(project: &Project, keys: &ProjectKeys, url: &str, format: EnvFormat) -> String {
    let mut lines: Vec<(&str, &str)> = Vec::new();
    let app = project.app_id.map(|app| app.to_string());
    match format {
        EnvFormat::Vite => {
            lines.push(("VITE_SUPABASE_URL", url));
            lines.push(("VITE_SUPABASE_ANON_KEY", &keys.anon));
            if let Some(app) = &app {
                lines.push(("VITE_APP_ID", app));
            }
        }
        EnvFormat::Next => {
            lines.push(("NEXT_PUBLIC_SUPABASE_URL", url));
            lines.push(("NEXT_PUBLIC_SUPABASE_ANON_KEY", &keys.anon));
            lines.push(("SUPABASE_SERVICE_ROLE_KEY", &keys.service_role));
            lines.push(("SUPABASE_JWT_SECRET", &keys.jwt_secret));
        }
        EnvFormat::Plain => {
            lines.push(("SUPABASE_URL", url));
            lines.push(("SUPABASE_ANON_KEY", &keys.anon));
            lines.push(("SUPABASE_SERVICE_KEY", &keys.service_role));
            lines.push(("SUPABASE_SERVICE_ROLE_KEY", &keys.service_role));
            lines.push(("SUPABASE_PUBLISHABLE_KEY", &keys.publishable));
            lines.push(("SUPABASE_SECRET_KEY", &keys.secret));
            lines.push(("SUPABASE_JWT_SECRET", &keys.jwt_secret));
            if let Some(app) = &app {
                lines.push(("APP_ID", app));
            }
        }
    }
    lines.into_iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

/// Values that a dotenv reader would split or expand are put in quotes.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/+=@%,".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    if value.contains('\'') {
        let escaped =
            value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', "\\n");
        return format!("\"{escaped}\"");
    }
    format!("'{value}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_dotenv_reader() {
        assert_eq!(quoted("eyJ.a-b_c"), "eyJ.a-b_c");
        assert_eq!(quoted("a b#c"), "'a b#c'");
        assert_eq!(quoted("it's $5"), "\"it's \\$5\"");
    }
}
