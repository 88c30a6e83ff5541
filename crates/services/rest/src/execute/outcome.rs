//! What the database answered, read from the rows of the results.

use super::Content;
use super::encoding::Encoding;
use super::steps::Places;
use super::verdict::check;
use crate::config::Settings;
use crate::faults;
use crate::plan::Rows as Plan;
use crate::request::Request;
use crate::statement::{Form, Layout};
use bytes::Bytes;
use fault::Fault;
use pg::Rows;

/// What the database answered.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The number of rows without a limit, when it was asked.
    pub total: Option<i64>,
    /// The number of rows returned or changed.
    pub rows: i64,
    /// There are more rows than have been counted.
    pub more_rows: bool,
    pub body: Content,
    /// `response.headers`.
    pub headers: Option<String>,
    /// `response.status`.
    pub status: Option<String>,
    /// The primary key of the only row inserted: names and values.
    pub location: Vec<(String, Option<String>)>,
    /// How many rows were inserted rather than updated.
    pub inserted: Option<i64>,
    /// The keys of a page's last row and of the one after it, as JSON.
    pub next: Option<String>,
}
/// Reads what has come of the answer to a statement, if it may be kept. The body lacks what comes in parts.
pub(super) fn read(
    results: &[Rows],
    places: Places,
    (request, plan): (&Request, &Plan),
    settings: &Settings,
) -> Result<Outcome, Fault> {
    let at = |index: Option<usize>| index.and_then(|index| results.get(index));
    let main = at(Some(places.main)).ok_or_else(|| faults::internal("no result"))?;
    let mut outcome = match places.form {
        Form::Explained => return Ok(Outcome { body: lines(main).into(), ..Outcome::default() }),
        Form::Row(layout) => of_row(main, layout),
        Form::Lines => of_lines(main, at(places.before), at(places.after)),
    };
    outcome.total = total(outcome.total, at(places.estimate).and_then(planned_rows), request, settings);
    check(&outcome, request, plan)?;
    Ok(outcome)
}

pub(super) fn of_row(main: &Rows, layout: Layout) -> Outcome {
    let Some(row) = main.first() else { return Outcome { total: Some(0), ..Outcome::default() } };
    let number = |index| row.text(index).and_then(|text| text.parse().ok());
    let location =
        layout.location.and_then(|at| row.bytes(at)).and_then(|json| serde_json::from_slice(json).ok());
    let body = row.raw(layout.body).map(|raw| Encoding::of(main, layout.body).decode(raw));
    Outcome {
        total: number(layout.total),
        rows: number(layout.rows).unwrap_or(0),
        headers: row.text(layout.headers).map(str::to_owned),
        status: row.text(layout.status).map(str::to_owned),
        location: location.unwrap_or_default(),
        inserted: layout.inserted.and_then(number),
        next: layout.next.and_then(|at| row.text(at)).map(str::to_owned),
        body: body.unwrap_or_default().into(),
        more_rows: false,
    }
}

/// The settings that the last statement saw count; while rows still come, those that the first row saw.
fn of_lines(main: &Rows, before: Option<&Rows>, after: Option<&Rows>) -> Outcome {
    let settings = match after {
        Some(after) => after.first().map(|row| (row, 0)),
        None => main.first().map(|row| (row, 1)),
    };
    let setting = |offset: usize| settings.and_then(|(row, at)| row.text(at + offset)).map(str::to_owned);
    Outcome {
        total: before.and_then(|rows| rows.first()?.text(0)?.parse().ok()),
        rows: i64::try_from(main.len()).unwrap_or(i64::MAX),
        body: lines(main).into(),
        headers: setting(0),
        status: setting(1),
        next: before.and_then(|rows| rows.first()?.text(1).map(str::to_owned)),
        ..Outcome::default()
    }
}

/// A counted total, or the planner's where it was preferred or counting stopped.
fn total(
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

fn planned_rows(rows: &Rows) -> Option<i64> {
    let plan: serde_json::Value = serde_json::from_slice(rows.first()?.bytes(0)?).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_i64()
}

/// The first column's texts as lines.
fn lines(rows: &Rows) -> Bytes {
    let mut text = Vec::new();
    for row in rows {
        text.extend_from_slice(row.bytes(0).unwrap_or_default());
        text.push(b'\n');
    }
    text.into()
}
