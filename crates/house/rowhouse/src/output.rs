//! Named values and tables on standard output.

use crate::cli::Output;
use serde_json::{Map, Value};
use std::io::Write;

/// Prints named values: a table with one row a name, a JSON object, or lines for a shell.
///
/// # Errors
/// When standard output is closed.
pub fn print_values(values: &Map<String, Value>, output: Output) -> std::io::Result<()> {
    let text = match output {
        Output::Json => json(&Value::Object(values.clone())),
        Output::Env => env(values),
        Output::Table => {
            let rows = values.iter().map(|(name, value)| vec![name.clone(), plain(value)]).collect();
            table(&[], rows)
        }
    };
    write(&text)
}

/// Prints a list of objects. In a table the columns are those given.
///
/// # Errors
/// When standard output is closed.
pub fn print_list(items: &[Value], columns: &[&str], output: Output) -> std::io::Result<()> {
    let text = match output {
        Output::Json => json(&Value::Array(items.to_vec())),
        Output::Env | Output::Table => {
            let cell = |item: &Value, column: &&str| item.get(column).map(plain).unwrap_or_default();
            let rows =
                items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect()).collect();
            table(columns, rows)
        }
    };
    write(&text)
}

/// Writes text to standard output at once.
///
/// # Errors
/// When it is closed.
pub fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Lines `NAME="value"`; names in capitals, quotes and backslashes escaped.
pub fn env(values: &Map<String, Value>) -> String {
    let line = |(name, value): (&String, &Value)| {
        let escaped = plain(value).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        format!("{}=\"{escaped}\"\n", name.to_uppercase())
    };
    values.iter().map(line).collect()
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn table(header: &[&str], mut rows: Vec<Vec<String>>) -> String {
    if !header.is_empty() {
        rows.insert(0, header.iter().map(|name| (*name).to_uppercase()).collect());
    }
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_for_a_shell_are_quoted() {
        let values = json!({ "api_url": "http://x", "B": "a\"b\\$c", "n": 1 });
        let text = env(values.as_object().unwrap());
        assert_eq!(text, "API_URL=\"http://x\"\nB=\"a\\\"b\\\\\\$c\"\nN=\"1\"\n");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["a".to_owned(), "long".to_owned()], vec!["bbb".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["h", "i"], rows), "H    I\na    long\nbbb  x\n");
    }
}
