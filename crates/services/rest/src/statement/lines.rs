//! Lines of JSON: what is only read comes as a row for each line, so that neither the database nor we ever hold all
//! of it. What is changed and what is counted comes as one row like any other body.

use super::{Form, Shape, Statement, call, estimate, next, read, settings_left, total};
use crate::config::Settings;
use crate::plan::{Maker, Rows, Work};
use crate::request::Request;
use sql::Fragment;

/// Whether a plan's lines come as rows. A function that changes something must have ended before its answer begins,
/// and its rows cannot be counted without calling it again.
pub fn suits(rows: &Rows, request: &Request) -> bool {
    let read = match &rows.work {
        Work::Read { .. } => true,
        Work::Write(_) => false,
        Work::Call { call, .. } => {
            let limited = request.prefer.is_strict() && request.prefer.max_affected.is_some();
            call.function.returns_set() && rows.read_only() && !request.prefer.counts() && !limited
        }
    };
    read && rows.maker == Maker::Lines
}

/// The statements of a plan whose lines come as rows.
pub fn build(rows: &Rows, request: &Request, settings: &Settings) -> Statement {
    let mut main = Fragment::with_capacity(1024, 8);
    let mut shape = Shape::Rows;
    if let Work::Call { call, .. } = &rows.work {
        shape = Shape::of(&call.function);
        main.push("with pgrst_source as (");
        call::call(&mut main, call);
        main.push(") ");
    }
    main.push("select ");
    line(&mut main, shape);
    main.push(", ");
    settings_left(&mut main);
    main.push(" from (");
    read::level(&mut main, &rows.root);
    main.push(") as _rest_t");
    let reads = matches!(rows.work, Work::Read { .. });
    let mut after = Fragment::new();
    after.push("select ");
    settings_left(&mut after);
    Statement {
        main,
        form: Form::Lines,
        before: (reads && (request.prefer.counts() || rows.keyset.is_some())).then(|| {
            let mut before = Fragment::new();
            before.push("select ");
            total(&mut before, rows, &request.prefer, settings, None);
            before.push(", ");
            next(&mut before, rows);
            before
        }),
        after: Some(after),
        estimate: (reads && request.prefer.estimates()).then(|| estimate(&rows.root)),
    }
}

/// A row as one line: a `json` column may hold line breaks, which between JSON's tokens are as good as blanks.
pub fn line(f: &mut Fragment, shape: Shape) {
    f.push("replace(");
    match shape {
        Shape::Rows | Shape::Row => f.push("row_to_json(_rest_t)::text"),
        Shape::Values | Shape::Value => f.push("coalesce(to_json(_rest_t.pgrst_scalar)::text, 'null')"),
    };
    f.push(", E'\\n', ' ')");
}
