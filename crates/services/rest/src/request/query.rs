//! The query string: its parameters, told apart and parsed.

use super::field;
use super::filter::{self, Condition, Filter, Logic};
use super::order::{self, OrderTerm};
use super::range::Span;
use super::scan::{Scan, Scanner};
use super::select::{self, SelectItem};
use crate::faults;
use fault::Fault;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// The embeds that lead from the root to a level; empty for the root.
pub type EmbedPath = Vec<String>;

/// Everything that a query string says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// Sorted by key and encoded anew, for `Content-Location`.
    pub canonical: String,
    pub select: Vec<SelectItem>,
    /// Filters of all levels, in their order.
    pub filters: Vec<(EmbedPath, Filter)>,
    pub logic: Vec<(EmbedPath, Logic)>,
    pub order: Vec<(EmbedPath, Vec<OrderTerm>)>,
    /// `limit` and `offset` of all levels.
    pub ranges: Vec<(EmbedPath, Span)>,
    pub columns: Option<BTreeSet<String>>,
    pub on_conflict: Option<Vec<String>>,
    /// The filters' keys as they were written: PUT wants exactly those of the primary key.
    pub filter_keys: BTreeSet<String>,
    /// `cursor=`, where pages are asked for by cursors, and the query without it.
    pub cursor: Option<String>,
    pub without_cursor: String,
    /// Arguments of a function called by GET, in their order.
    pub arguments: Vec<(String, String)>,
}

impl Query {
    /// The filters on the root.
    pub fn root_filters(&self) -> impl Iterator<Item = &Filter> {
        self.filters.iter().filter(|(path, _)| path.is_empty()).map(|(_, filter)| filter)
    }
}

/// Parses a query string. In `calls`, the values that are no conditions are arguments of the function; with `cursors`,
/// `cursor` is not a column.
pub fn parse(text: &str, calls: bool, cursors: bool) -> Result<Query, Fault> {
    let mut pairs = decode(text);
    let mut query = Query { canonical: canonical(&pairs), ..Query::default() };
    if cursors {
        let is_cursor = |pair: &str| unescape(pair.split('=').next().unwrap_or_default()) == "cursor";
        let kept: Vec<&str> =
            text.split(['&', ';']).filter(|pair| !pair.is_empty() && !is_cursor(pair)).collect();
        query.without_cursor = kept.join("&");
        let given = pairs.iter().find(|(key, _)| key == "cursor");
        query.cursor = given.map(|(_, value)| value.as_deref().unwrap_or_default().to_owned());
        pairs.retain(|(key, _)| key != "cursor");
    }
    let valued = || pairs.iter().filter_map(|(key, value)| value.as_ref().map(|value| (&**key, &**value)));
    let first =
        |wanted: &str| pairs.iter().find(|(key, _)| *key == wanted).and_then(|(_, value)| value.as_deref());

    for (key, value) in valued() {
        match key.rsplit('.').next().unwrap_or(key) {
            "order" => query.order.push((tree_path(key)?.0, run("order", value, order::order)?)),
            "and" | "or" => query.logic.push(logic(key, value)?),
            _ => {}
        }
    }
    query.columns = first("columns")
        .map(|text| run("columns parameter", text, field::names).map(BTreeSet::from_iter))
        .transpose()?;
    query.select = run("select parameter", first("select").unwrap_or("*"), select::select)?;
    query.on_conflict =
        first("on_conflict").map(|text| run("on_conflict parameter", text, field::names)).transpose()?;
    for (key, value) in valued().filter(|(key, _)| is_filter(key)) {
        query.filter_keys.insert(key.to_owned());
        let (path, field) = tree_path(key)?;
        match condition(value, calls)? {
            Some(condition) => query.filters.push((path, Filter { field, condition })),
            None => query.arguments.push((field.name, value.to_owned())),
        }
    }
    query.ranges = ranges(valued())?;
    Ok(query)
}

/// Whether a key is neither reserved nor ends in a reserved word.
fn is_filter(key: &str) -> bool {
    !matches!(key, "select" | "columns" | "on_conflict")
        && !matches!(key.rsplit('.').next(), Some("order" | "limit" | "offset" | "and" | "or"))
}

fn condition(value: &str, calls: bool) -> Result<Option<Condition>, Fault> {
    match run("filter", value, filter::condition) {
        Ok(condition) => Ok(Some(condition)),
        Err(_) if calls => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn tree_path(key: &str) -> Result<(EmbedPath, field::Field), Fault> {
    run("tree path", key, field::tree_path)
}

fn logic(key: &str, value: &str) -> Result<(EmbedPath, Logic), Fault> {
    let (path, operator) = run("logic path", key, filter::logic_path)?;
    let whole = format!("{operator}{value}");
    let mut scanner = Scanner::new(&whole);
    match filter::logic(&mut scanner) {
        Ok(logic) => Ok((path, logic)),
        Err(_) => Err(faults::query("logic tree", value, &scanner)),
    }
}

fn run<T>(what: &str, text: &str, read: fn(&mut Scanner) -> Scan<T>) -> Result<T, Fault> {
    let mut scanner = Scanner::new(text);
    read(&mut scanner).map_err(|_| faults::query(what, text, &scanner))
}

/// `limit` and `offset` of each level. What is not a number is ignored.
fn ranges<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Vec<(EmbedPath, Span)>, Fault> {
    let mut found: Vec<(&str, Option<i64>, Option<i64>)> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    for (key, value) in pairs {
        let (level, last) = key.rsplit_once('.').unwrap_or(("", key));
        if !matches!(last, "limit" | "offset") {
            continue;
        }
        let at = *index.entry(level).or_insert_with(|| {
            found.push((level, None, None));
            found.len() - 1
        });
        let number = value.trim().parse().ok();
        if last == "limit" {
            found[at].1 = number;
        } else {
            found[at].2 = number;
        }
    }
    found
        .into_iter()
        .map(|(level, limit, offset)| {
            let path = if level.is_empty() {
                Vec::new()
            } else {
                let (mut path, field) = tree_path(level)?;
                path.push(field.name);
                path
            };
            Ok((path, Span::of(limit, offset.unwrap_or(0))))
        })
        .collect()
}

/// The parameters of a query string; those without `=` have no value.
fn decode(text: &str) -> Vec<(Cow<'_, str>, Option<Cow<'_, str>>)> {
    text.split(['&', ';'])
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => (unescape(key), Some(unescape(value))),
            None => (unescape(pair), None),
        })
        .collect()
}

/// The fields of a form, which are written like a query string.
pub fn decode_form(text: &str) -> Vec<(String, String)> {
    decode(text)
        .into_iter()
        .map(|(key, value)| (key.into_owned(), value.unwrap_or_default().into_owned()))
        .collect()
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned())
}

/// Everything but these is escaped in `Content-Location` and `Location`.
pub const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Sorted by key; the values of a repeated key are joined by commas, as the reference does.
fn canonical(pairs: &[(Cow<str>, Option<Cow<str>>)]) -> String {
    let mut sorted: Vec<(&str, &str)> =
        pairs.iter().map(|(key, value)| (&**key, value.as_deref().unwrap_or_default())).collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut text = String::new();
    let mut previous = None;
    for (key, value) in sorted {
        if previous == Some(key) {
            text.push(',');
        } else {
            if previous.is_some() {
                text.push('&');
            }
            text.extend(utf8_percent_encode(key, ESCAPED));
            text.push('=');
        }
        text.extend(utf8_percent_encode(value, ESCAPED));
        previous = Some(key);
    }
    text
}
