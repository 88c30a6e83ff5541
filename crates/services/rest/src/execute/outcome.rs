//! What the database answered, read from the rows of the results.

use crate::config::Settings;
use crate::request::Request;
use crate::statement::Layout;
use bytes::Bytes;
use pg::Rows;

/// What the database answered.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The number of rows without a limit, when it was asked.
    pub total: Option<i64>,
    /// The number of rows returned or changed.
    pub rows: i64,
    pub body: Bytes,
    /// `response.headers`.
    pub headers: Option<String>,
    /// `response.status`.
    pub status: Option<String>,
    /// The primary key of the only row inserted: names and values.
    pub location: Vec<(String, Option<String>)>,
    /// How many rows were inserted rather than updated.
    pub inserted: Option<i64>,
}
pub(super) fn outcome(main: &Rows, layout: Layout) -> Outcome {
    let Some(row) = main.first() else { return Outcome { total: Some(0), ..Outcome::default() } };
    let number = |index| row.text(index).and_then(|text| text.parse().ok());
    let location =
        layout.location.and_then(|at| row.bytes(at)).and_then(|json| serde_json::from_slice(json).ok());
    Outcome {
        total: number(layout.total),
        rows: number(layout.rows).unwrap_or(0),
        body: body(main, layout.body).unwrap_or_default(),
        headers: row.text(layout.headers).map(str::to_owned),
        status: row.text(layout.status).map(str::to_owned),
        location: location.unwrap_or_default(),
        inserted: layout.inserted.and_then(number),
    }
}

/// A counted total, or the planner's where it was preferred or counting stopped.
pub(super) fn total(
    counted: Option<i64>,
    estimated: Option<i64>,
    request: &Request,
    settings: &Settings,
) -> Option<i64> {
    use crate::request::Count;
    match request.prefer.count {
        Some(Count::Planned) => estimated,
        Some(Count::Estimated) => {
            let limit = settings.db_max_rows.and_then(|rows| i64::try_from(rows).ok());
            match (counted, estimated, limit) {
                (Some(counted), Some(estimated), limit) if limit.is_none_or(|limit| counted > limit) => {
                    Some(counted.max(estimated))
                }
                _ => counted,
            }
        }
        _ => counted,
    }
}

pub(super) fn planned_rows(rows: &Rows) -> Option<i64> {
    let plan: serde_json::Value = serde_json::from_slice(rows.first()?.bytes(0)?).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_i64()
}

/// The lines of an EXPLAIN.
pub(super) fn lines(rows: &Rows) -> Bytes {
    let mut text = Vec::new();
    for row in rows {
        text.extend_from_slice(row.bytes(0).unwrap_or_default());
        text.push(b'\n');
    }
    text.into()
}

/// The type of a body made of bytes; in the text format they come in hexadecimal.
const BYTEA: u32 = 17;
/// `jsonb`, which only custom handlers return.
const JSONB: u32 = 3802;

fn body(rows: &Rows, at: usize) -> Option<Bytes> {
    let raw = rows.first()?.raw(at)?;
    match rows.columns().get(at).map(|column| column.type_oid) {
        Some(BYTEA) => {
            let digits = raw.strip_prefix(b"\\x").unwrap_or(&raw);
            Some(digits.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect())
        }
        // The version byte of jsonb's binary form, which the reference sends too; its suite insists
        // (test/spec/Feature/Query/CustomMediaSpec.hs).
        Some(JSONB) => Some([b"\x01", &*raw].concat().into()),
        _ => Some(raw),
    }
}

fn nibble(digit: u8) -> u8 {
    char::from(digit).to_digit(16).map_or(0, |value| value as u8)
}
