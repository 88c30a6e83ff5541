//! `rowhouse projects settings …`

use super::place::perform;
use crate::admin::Operation;
use crate::cli::{SettingsArgs, SettingsCommand};
use crate::house::Surroundings;
use crate::output::print_values;
use crate::tuning::SettingsAction;
use anyhow::{Context, bail};
use model::Secret;
use std::io::Read;
use std::path::Path;

/// No file of settings is longer.
const FILE_BYTES_MAX: u64 = 256 * 1024;

pub async fn run(command: SettingsCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    let (of, action) = match command {
        SettingsCommand::Get(of) => (of, SettingsAction::Show),
        SettingsCommand::Set { of, settings, file } => {
            let mut lines = settings.iter().map(|pair| line(pair)).collect::<anyhow::Result<String>>()?;
            // Names with dots come before the tables of a file.
            lines.push_str(&file.as_deref().map(read).transpose()?.unwrap_or_default());
            (of, SettingsAction::Change { set: Secret::new(lines), unset: Vec::new() })
        }
        SettingsCommand::Unset { of, settings } => {
            (of, SettingsAction::Change { set: Secret::default(), unset: settings })
        }
    };
    let SettingsArgs { project, output, platform } = of;
    let set = perform(&platform, &surroundings, Operation::Settings { project, action }).await?;
    let set = set.as_object().context("the platform answered in another form")?;
    Ok(print_values(set, output)?)
}

/// `name=value` as TOML; what is no value of TOML is a text.
fn line(pair: &str) -> anyhow::Result<String> {
    let Some((name, value)) = pair.split_once('=') else {
        bail!("{pair}: expected NAME=VALUE");
    };
    let is_toml = !value.contains('\n') && format!("x = {value}").parse::<toml::Table>().is_ok();
    let value = if is_toml { value.to_owned() } else { serde_json::Value::from(value).to_string() };
    Ok(format!("{name} = {value}\n"))
}

/// The text of a file; `-` is standard input.
fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let what = || format!("{} cannot be read", path.display());
    if path == Path::new("-") {
        std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text).with_context(what)?;
    } else {
        let file = std::fs::File::open(path).with_context(what)?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).with_context(what)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_or_texts() {
        assert_eq!(line("a.b=true").unwrap(), "a.b = true\n");
        assert_eq!(line("a.b=5s").unwrap(), "a.b = \"5s\"\n");
        assert_eq!(line("a.b=[\"x\"]").unwrap(), "a.b = [\"x\"]\n");
        assert_eq!(line("a=1\nb=2").unwrap(), "a = \"1\\nb=2\"\n");
        assert!(line("a").is_err());
    }
}
