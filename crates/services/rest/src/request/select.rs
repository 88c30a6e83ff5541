//! `select=`: columns, embeds and spreads.

use super::field::{self, Field};
use super::scan::{Scan, Scanner};

/// One item of a select list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SelectItem {
    /// A column, `*`, or an aggregate.
    Column(SelectColumn),
    /// Rows of a related relation.
    Embed(Embed),
}

/// `alias:field->path::cast.aggregate()::cast`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SelectColumn {
    pub field: Field,
    pub alias: Option<String>,
    /// The cast of the column itself, before any aggregate.
    pub cast: Option<String>,
    pub aggregate: Option<Aggregate>,
    /// The cast of the aggregate's result.
    pub aggregate_cast: Option<String>,
}

/// `alias:relation!hint!inner(items)`, or with `...` before it a spread.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Embed {
    pub relation: String,
    pub alias: Option<String>,
    pub hint: Option<String>,
    /// Parents without a related row are dropped.
    pub inner: bool,
    /// The columns are lifted into the parent.
    pub spread: bool,
    pub items: Vec<SelectItem>,
}

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    Sum,
    Avg,
    Max,
    Min,
    Count,
}

impl Aggregate {
    /// The function's name in SQL, which is also the name of its result.
    pub fn as_str(self) -> &'static str {
        match self {
            Aggregate::Sum => "sum",
            Aggregate::Avg => "avg",
            Aggregate::Max => "max",
            Aggregate::Min => "min",
            Aggregate::Count => "count",
        }
    }
}

/// Embeds may not nest deeper than this.
const DEPTH_MAX: usize = 64;

/// A whole select list. Nothing at all is an empty list.
pub fn select(s: &mut Scanner) -> Scan<Vec<SelectItem>> {
    items(s, 0)
}

fn items(s: &mut Scanner, depth: usize) -> Scan<Vec<SelectItem>> {
    if depth > DEPTH_MAX {
        return s.fail("fewer nested embeds");
    }
    let list =
        s.optional(|s| s.list(|s| item(s, depth), |s| s.attempt(|s| s.spaced(|s| s.char(',', "\",\"")))))?;
    Ok(list.unwrap_or_default())
}

fn item(s: &mut Scanner, depth: usize) -> Scan<SelectItem> {
    let embed = |s: &mut Scanner, head: fn(&mut Scanner) -> Scan<Embed>| {
        let mut embed = s.attempt(|s| s.spaced(head))?;
        s.char('(', "\"(\"")?;
        embed.items = items(s, depth + 1)?;
        s.char(')', "\")\"")?;
        Ok(SelectItem::Embed(embed))
    };
    s.or(|s| embed(s, spread_head), |s| s.or(|s| embed(s, embed_head), |s| column(s).map(SelectItem::Column)))
}

fn spread_head(s: &mut Scanner) -> Scan<Embed> {
    s.word("...", "\"...\"")?;
    let mut embed = embed_name(s)?;
    embed.spread = true;
    Ok(embed)
}

fn embed_head(s: &mut Scanner) -> Scan<Embed> {
    let alias = alias(s)?;
    let mut embed = embed_name(s)?;
    if embed.relation == "count" {
        return s.fail("");
    }
    embed.alias = alias;
    Ok(embed)
}

fn embed_name(s: &mut Scanner) -> Scan<Embed> {
    let relation = field::name(s)?;
    let mut embed =
        Embed { relation, alias: None, hint: None, inner: false, spread: false, items: Vec::new() };
    let mut joined = false;
    for _ in 0..2 {
        if s.optional(|s| s.char('!', "\"!\""))?.is_none() {
            break;
        }
        // As in the reference, the words are also recognised as the beginning of a longer name.
        if s.attempt(|s| s.word("left", "\"left\"")).is_ok() {
            joined = true;
        } else if s.attempt(|s| s.word("inner", "\"inner\"")).is_ok() {
            embed.inner |= !joined;
            joined = true;
        } else {
            let hint = field::name(s)?;
            embed.hint.get_or_insert(hint);
        }
    }
    s.look(|s| s.char('(', "\"(\""))?;
    Ok(embed)
}

/// `alias:`, but not the `::` of a cast.
fn alias(s: &mut Scanner) -> Scan<Option<String>> {
    s.optional(|s| {
        s.attempt(|s| {
            let alias = field::name(s)?;
            if s.rest().starts_with("::") {
                return s.fail_ahead(1, "");
            }
            s.char(':', "\":\"")?;
            Ok(alias)
        })
    })
}

fn column(s: &mut Scanner) -> Scan<SelectColumn> {
    s.spaced(|s| s.or(|s| s.attempt(star), |s| s.or(|s| s.attempt(count), plain)))
}

fn column_end(s: &mut Scanner) -> Scan<()> {
    s.look(|s| s.or(|s| s.char(')', "\")\""), |s| s.or(|s| s.char(',', "\",\""), |s| s.end())))
}

fn star(s: &mut Scanner) -> Scan<SelectColumn> {
    s.word("*", "\"*\"")?;
    column_end(s)?;
    Ok(SelectColumn {
        field: Field::column("*"),
        alias: None,
        cast: None,
        aggregate: None,
        aggregate_cast: None,
    })
}

fn count(s: &mut Scanner) -> Scan<SelectColumn> {
    let alias = alias(s)?;
    s.word("count()", "\"count()\"")?;
    let aggregate_cast = cast(s)?;
    column_end(s)?;
    Ok(SelectColumn {
        field: Field::column("*"),
        alias,
        cast: None,
        aggregate: Some(Aggregate::Count),
        aggregate_cast,
    })
}

fn plain(s: &mut Scanner) -> Scan<SelectColumn> {
    let alias = alias(s)?;
    let field = field::field(s)?;
    let inner_cast = cast(s)?;
    let aggregate = s.optional(|s| s.attempt(aggregate))?;
    let aggregate_cast = cast(s)?;
    column_end(s)?;
    Ok(SelectColumn { field, alias, cast: inner_cast, aggregate, aggregate_cast })
}

fn cast(s: &mut Scanner) -> Scan<Option<String>> {
    s.optional(|s| {
        s.word("::", "\"::\"")?;
        field::identifier(s).map(str::to_owned)
    })
}

fn aggregate(s: &mut Scanner) -> Scan<Aggregate> {
    s.char('.', "\".\"")?;
    for (aggregate, word) in [
        (Aggregate::Sum, "\"sum\""),
        (Aggregate::Avg, "\"avg\""),
        (Aggregate::Count, "\"count\""),
        (Aggregate::Max, "\"max\""),
        (Aggregate::Min, "\"min\""),
    ] {
        if s.word(aggregate.as_str(), word).is_ok() {
            s.word("()", "\"()\"")?;
            return Ok(aggregate);
        }
    }
    Err(super::scan::Stop)
}
