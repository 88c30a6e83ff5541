//! `rowhouse entities …`

use super::place::perform;
use crate::admin::Operation;
use crate::cli::{EntitiesCommand, Output};
use crate::house::Surroundings;
use crate::output::write;
use anyhow::Context;
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// The largest model that is read.
const MODEL_BYTES_MAX: u64 = 8 * 1024 * 1024;

pub async fn run(command: EntitiesCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    let EntitiesCommand::Apply { file, project, allow_destructive, output, platform } = command;
    let model = read(&file)?;
    let operation = Operation::ApplyEntities { project, model, allow_destructive };
    let applied = perform(&platform, &surroundings, operation).await?;
    Ok(write(&match output {
        Output::Json | Output::Env => format!("{applied:#}\n"),
        Output::Table => summary(&applied),
    })?)
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let what = || format!("{} cannot be read", file.display());
    let mut text = String::new();
    let source: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(what)?)
    };
    source.take(MODEL_BYTES_MAX).read_to_string(&mut text).with_context(what)?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// The statements that ran, or that there were none.
fn summary(applied: &Value) -> String {
    let statements = applied.get("sql").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if statements.is_empty() {
        return "nothing to change\n".to_owned();
    }
    statements.iter().filter_map(Value::as_str).map(|statement| format!("{statement};\n")).collect()
}
