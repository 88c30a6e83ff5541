//! The third stage: a plan becomes one statement that returns one row.
//!
//! The row holds the numbers of rows, what the transaction left in its settings and the body, made in the database.
//! The body is last, so that all else is known before it has come; in an explained statement, which has none, it stands
//! where the reference has it. Only lines of JSON that are read come row by row
//! ([`lines`]). The statement's text depends on the request's shape only: every value is a parameter.

mod call;
mod filter;
mod lines;
mod read;
#[cfg(test)]
pub(crate) mod tests;
mod write;

pub use filter::{list_literal, pattern};

use crate::config::Settings;
use crate::plan::{Call, Level, Maker, Rows, Work, Write};
use crate::request::{Count, MediaType, PlanType, Preferences, Representation, Request, Span};
use crate::schema::Function;
use sql::Fragment;

/// The most values that a statement of PostgreSQL takes.
pub const VALUES_MAX: usize = 65_535;

/// The name of the part that writes or calls.
const SOURCE: &str = "pgrst_source";

/// Where in the row things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The number of rows without a limit; null when it was not asked.
    pub total: usize,
    /// The number of rows returned or changed.
    pub rows: usize,
    /// `response.headers`.
    pub headers: usize,
    /// `response.status`.
    pub status: usize,
    /// The primary key of the only row inserted, as JSON pairs.
    pub location: Option<usize>,
    /// How many rows were inserted rather than updated.
    pub inserted: Option<usize>,
    /// The keys of the page's last row and of the one after it, where pages are found by cursors.
    pub next: Option<usize>,
    /// The last of the row.
    pub body: usize,
}

impl Layout {
    /// Of reads and calls.
    const READ: Layout = Layout {
        total: 0,
        rows: 1,
        headers: 2,
        status: 3,
        location: None,
        inserted: None,
        next: None,
        body: 4,
    };
    /// Of reads by cursors.
    const PAGE: Layout = Layout { next: Some(4), body: 5, ..Layout::READ };
    /// Of writes.
    const WRITE: Layout = Layout {
        total: 0,
        rows: 1,
        headers: 3,
        status: 4,
        location: Some(2),
        inserted: Some(5),
        next: None,
        body: 6,
    };
}

/// What the main statement returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines of an explanation.
    Explained,
    /// One row.
    Row(Layout),
    /// A row for each line of the body: the line, `response.headers` and `response.status` as they are by then.
    Lines,
}

/// What is sent for a plan.
#[derive(Debug)]
pub struct Statement {
    pub main: Fragment,
    pub form: Form,
    /// What is known without the lines, asked before them: the total.
    pub before: Option<Fragment>,
    /// What is known only after the lines: the settings left.
    pub after: Option<Fragment>,
    /// An EXPLAIN whose first node's rows estimate the total.
    pub estimate: Option<Fragment>,
}

/// The statement of a plan.
pub fn build(rows: &Rows, request: &Request, settings: &Settings) -> Statement {
    let mut main = Fragment::with_capacity(1024, 8);
    let explained = match &rows.media {
        MediaType::Plan(plan) => {
            explain(&mut main, plan);
            true
        }
        _ => false,
    };
    if !explained && lines::suits(rows, request) {
        return lines::build(rows, request, settings);
    }
    match &rows.work {
        Work::Read { .. } => read(&mut main, rows, request, settings),
        Work::Write(work) => write(&mut main, rows, work, request),
        Work::Call { call, .. } => self::call(&mut main, rows, call, request, settings),
    }
    let estimates = matches!(rows.work, Work::Read { .. }) && request.prefer.estimates() && !explained;
    let layout = match &rows.work {
        Work::Write(_) => Layout::WRITE,
        _ if rows.keyset.is_some() => Layout::PAGE,
        _ => Layout::READ,
    };
    Statement {
        main,
        form: if explained { Form::Explained } else { Form::Row(layout) },
        before: None,
        after: None,
        estimate: estimates.then(|| estimate(&rows.root)),
    }
}

fn explain(f: &mut Fragment, plan: &PlanType) {
    f.push("explain (format ").push(if plan.json { "json" } else { "text" });
    for option in &plan.options {
        f.push(", ").push(option.as_str());
    }
    f.push(") ");
}

fn estimate(root: &Level) -> Fragment {
    let mut f = Fragment::new();
    f.push("explain (format json) ");
    read::count(&mut f, root);
    f
}

fn read(f: &mut Fragment, rows: &Rows, request: &Request, settings: &Settings) {
    let shared = rows.maker == Maker::Csv;
    if shared {
        f.push("with pgrst_rows as (");
        read::level(f, &rows.root);
        f.push(") ");
    }
    f.push("select ");
    total(f, rows, &request.prefer, settings, Some("count(*)"));
    f.push(", count(*), ");
    end_of_row(f, rows, Shape::Rows, |f| {
        settings_left(f);
        if rows.keyset.is_some() {
            f.push(", ");
            next(f, rows);
        }
    });
    f.push(" from ");
    from_rows(f, &rows.root, shared);
}

/// The columns before the body, and the body. A plan names them in the reference's order, by which its clients find
/// the body: there it stands before the others.
fn end_of_row(f: &mut Fragment, rows: &Rows, shape: Shape, others: impl FnOnce(&mut Fragment)) {
    if matches!(rows.media, MediaType::Plan(_)) {
        body(f, &rows.maker, shape);
        f.push(", ");
        others(f);
    } else {
        others(f);
        f.push(", ");
        body(f, &rows.maker, shape);
    }
}

/// The keys that tell whether there is another page and where it begins.
fn next(f: &mut Fragment, rows: &Rows) {
    match rows.keyset.as_ref().and_then(|keyset| keyset.limit) {
        Some(limit) => {
            f.push("(select json_agg(key) from (");
            read::keys(f, &rows.root, limit);
            f.push(") as pgrst_keys)");
        }
        None => {
            f.push("null");
        }
    }
}

/// The rows under the alias that bodies are made from.
fn from_rows(f: &mut Fragment, root: &Level, shared: bool) {
    if shared {
        f.push("pgrst_rows as _rest_t");
    } else {
        f.push("(");
        read::level(f, root);
        f.push(") as _rest_t");
    }
}

/// The number of rows without a limit. Without a limit that is the number of rows `returned`, where that is known.
fn total(
    f: &mut Fragment,
    rows: &Rows,
    prefer: &Preferences,
    settings: &Settings,
    returned: Option<&'static str>,
) {
    if !prefer.counts() {
        f.push("null::bigint");
    } else if let Some(returned) = returned
        .filter(|_| settings.db_max_rows.is_none() && rows.root.span == Span::ALL && rows.keyset.is_none())
    {
        f.push(returned);
    } else {
        f.push("(select count(*) from (");
        read::count(f, &rows.root);
        let limit = settings
            .db_max_rows
            .filter(|_| prefer.count == Some(Count::Estimated) && matches!(rows.work, Work::Read { .. }));
        if let Some(limit) = limit {
            f.push(" limit ").bind((limit + 1).to_string());
        }
        f.push(") as pgrst_count)");
    }
}

fn settings_left(f: &mut Fragment) {
    f.push("nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '')");
}

/// Names the rows where a body reads them twice, for its header line and for itself. Whether it does.
fn shared_rows(f: &mut Fragment, rows: &Rows) -> bool {
    let shared = rows.maker == Maker::Csv;
    if shared {
        f.push(", pgrst_rows as (");
        read::level(f, &rows.root);
        f.push(")");
    }
    shared
}

fn write(f: &mut Fragment, rows: &Rows, work: &Write, request: &Request) {
    f.push("with pgrst_source as (");
    write::write(f, work);
    f.push(")");
    let shared = shared_rows(f, rows);
    f.push(" select null::bigint, count(*), ");
    location(f, work, request);
    f.push(", ");
    end_of_row(f, rows, Shape::Rows, |f| {
        settings_left(f);
        f.push(if work.counts_inserted() {
            ", nullif(current_setting('pgrst.inserted', true), '')::int"
        } else {
            ", null"
        });
    });
    f.push(" from ");
    if rows.maker == Maker::Nothing {
        f.push("pgrst_source as _rest_t");
    } else {
        from_rows(f, &rows.root, shared);
    }
}

/// The primary key of the only row: for `Location`.
fn location(f: &mut Fragment, work: &Write, request: &Request) {
    let wanted = request.prefer.representation == Some(Representation::HeadersOnly);
    let inserts = work.mutation == crate::request::Mutation::Create && !work.primary_key.is_empty();
    if !wanted || !inserts {
        f.push("null");
        return;
    }
    let key: Vec<String> = work.primary_key.iter().map(|name| name.to_string()).collect();
    f.push("case when count(*) = 1 then (select json_agg(json_build_array(pair.key, pair.value)) from ");
    f.push("json_each_text((select row_to_json(source) from pgrst_source as source limit 1)) as pair ");
    f.push("where pair.key = any (").bind(array_literal(&key)).push("::text[])) end");
}

fn call(f: &mut Fragment, rows: &Rows, call: &Call, request: &Request, settings: &Settings) {
    let function = &call.function;
    f.push("with pgrst_source as (");
    call::call(f, call);
    f.push(")");
    let shared = shared_rows(f, rows);
    let returned = if function.returns_set() { "count(*)" } else { "1" };
    f.push(" select ");
    total(f, rows, &request.prefer, settings, Some(returned));
    f.push(", ").push(returned).push(", ");
    end_of_row(f, rows, Shape::of(function), settings_left);
    f.push(" from ");
    if rows.maker == Maker::Value && !matches!(rows.media, MediaType::Plan(_)) {
        // A function that is called in the list after the settings would set them too late: here it is called before.
        f.push("(select * from ");
        from_rows(f, &rows.root, shared);
        f.push(" offset 0) as _rest_t");
    } else {
        from_rows(f, &rows.root, shared);
    }
}

/// What the rows are, as JSON sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Rows,
    Row,
    /// Each row has one column that is the element.
    Values,
    Value,
}

impl Shape {
    fn of(function: &Function) -> Self {
        if function.returns_scalar() {
            Shape::Value
        } else if function.returns_set_of_scalar() {
            Shape::Values
        } else if function.returns_single_composite() {
            Shape::Row
        } else {
            Shape::Rows
        }
    }

    fn element(self) -> &'static str {
        match self {
            Shape::Rows | Shape::Row => "_rest_t",
            Shape::Values | Shape::Value => "_rest_t.pgrst_scalar",
        }
    }
}

fn body(f: &mut Fragment, maker: &Maker, shape: Shape) {
    match maker {
        // The one row of a value must not vanish into an aggregate of none.
        Maker::Nothing if matches!(shape, Shape::Value | Shape::Row) => {
            f.push("max(null::text)");
        }
        Maker::Nothing => {
            f.push("null");
        }
        Maker::Json { stripped } => {
            let single = matches!(shape, Shape::Row | Shape::Value);
            json(f, shape, *stripped, single);
        }
        Maker::Single { stripped } => {
            json(f, if shape == Shape::Values { Shape::Rows } else { shape }, *stripped, true)
        }
        Maker::Lines => {
            f.push("coalesce(string_agg(");
            lines::line(f, shape);
            f.push(" || E'\\n', ''), '')");
        }
        Maker::Csv => csv(f),
        Maker::GeoJson => {
            f.push("json_build_object('type', 'FeatureCollection', 'features', ");
            f.push("coalesce(json_agg(ST_AsGeoJSON(_rest_t)::json), '[]'))");
        }
        Maker::Aggregate { function, row_type } => {
            f.qualified(&function.schema, &function.name).push("(");
            if matches!(shape, Shape::Value) {
                f.push("_rest_t.pgrst_scalar");
            } else {
                f.push("_rest_t");
                if let Some(row_type) = row_type {
                    f.push("::").qualified(&row_type.schema, &row_type.name);
                }
            }
            f.push(")");
        }
        Maker::Value => {
            f.push("_rest_t.pgrst_scalar");
        }
    }
}

fn json(f: &mut Fragment, shape: Shape, stripped: bool, single: bool) {
    f.push("coalesce(").push(if stripped { "json_strip_nulls(" } else { "" });
    f.push("json_agg(").push(shape.element()).push(")");
    f.push(if single { "->0" } else { "" });
    f.push(if stripped { ")" } else { "" });
    f.push(if single { ", 'null')" } else { ", '[]')" });
}

/// A header with the names of the first row and the rows as record literals without their parentheses.
fn csv(f: &mut Fragment) {
    f.push("(select coalesce(string_agg(name, ','), '') from (select json_object_keys(row_to_json(one)) as name ");
    f.push("from (select * from pgrst_rows limit 1) as one) as names) || E'\\n' || ");
    // The parentheses are cut off as bytes: counting the characters of a long row takes longer than making it.
    f.push("coalesce(string_agg((select convert_from(substr(line, 2, octet_length(line) - 2), 'UTF8') from ");
    f.push("(select convert_to(_rest_t::text, 'UTF8') as line offset 0) as _), E'\\n'), '')");
}

/// An array's text form, every element quoted.
pub fn array_literal(values: &[String]) -> String {
    let mut text = String::from("{");
    for (i, value) in values.iter().enumerate() {
        text.push_str(if i > 0 { ",\"" } else { "\"" });
        for c in value.chars().filter(|c| *c != '\0') {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    text
}
