//! Levels as SELECTs: embeds are lateral joins, their rows become JSON in the database.

use super::SOURCE;
use super::filter;
use crate::plan::{Column, Join, Level, Output, Source, Spread, SpreadColumn, junction_alias};
use crate::request::Span;
use crate::schema::RelationshipKind;
use sql::Fragment;

/// The SELECT of a level.
pub fn level(f: &mut Fragment, root: &Level) {
    Writer.level(f, root);
}

/// The SELECT whose rows are as many as the level's without a limit.
pub fn count(f: &mut Fragment, level: &Level) {
    f.push("select 1");
    matching(f, level);
}

/// The keys of a page's last row and of the one after it, as JSON arrays of texts.
pub fn keys(f: &mut Fragment, level: &Level, limit: i64) {
    f.push("select json_build_array(").join(", ", &level.order, |f, order| {
        filter::reference(f, &level.qualifier, &order.reference);
        f.push("::text");
    });
    f.push(") as key");
    let mut conditions = matching(f, level);
    if let Some(tree) = &level.behind {
        conditions.next(f);
        filter::tree(f, &level.qualifier, tree);
    }
    filter::order(f, &level.qualifier, &level.order);
    f.push(" limit 2 offset ").bind((limit - 1).to_string());
}

/// The rows that a level has without a limit, its embeds not joined.
fn matching(f: &mut Fragment, level: &Level) -> Conditions {
    from(f, level);
    let mut conditions = Conditions::default();
    for tree in &level.conditions {
        conditions.next(f);
        filter::tree_without_joins(f, level, tree, count);
    }
    for join in &level.joins {
        conditions.next(f);
        self::join(f, join);
    }
    for child in level.embeds.iter().filter(|child| child.inner) {
        conditions.next(f);
        f.push("exists (");
        count(f, child);
        f.push(")");
    }
    conditions
}

fn is_aggregated(level: &Level) -> bool {
    level.columns.iter().any(|column| column.aggregate.is_some())
        || level.outputs.iter().any(|output| match output {
            Output::Spread { columns, .. } => columns.iter().any(|column| column.aggregate.is_some()),
            Output::Json { .. } => false,
        })
}

/// Writes `where` before the first condition and `and` before the others.
#[derive(Default)]
struct Conditions {
    any: bool,
}

impl Conditions {
    fn next(&mut self, f: &mut Fragment) {
        f.push(if self.any { " and " } else { " where " });
        self.any = true;
    }
}

fn from(f: &mut Fragment, level: &Level) {
    f.push(" from ");
    match &level.source {
        Source::Relation => {
            f.qualified(&level.relation.schema, &level.relation.name);
        }
        Source::Written => {
            f.push(SOURCE);
        }
        Source::Computed { function, parent, parent_type } => {
            f.qualified(&function.schema, &function.name)
                .push("(")
                .quoted(parent)
                .push("::")
                .qualified(&parent_type.schema, &parent_type.name)
                .push(")");
        }
    }
    f.push(" as ").quoted(&level.qualifier);
    let kind = level.relationship.as_ref().map(|relationship| &relationship.kind);
    if let Some(RelationshipKind::ManyToMany(junction)) = kind {
        f.push(", ")
            .qualified(&junction.table.schema, &junction.table.name)
            .push(" as ")
            .quoted(&junction_alias(&level.qualifier));
    }
}

fn join(f: &mut Fragment, join: &Join) {
    filter::qualified(f, &join.left.0, &join.left.1);
    f.push(" = ");
    filter::qualified(f, &join.right.0, &join.right.1);
}

/// Limits up to this stand in the text. Applications use few of them; were they parameters, PostgreSQL would guess a
/// tenth of all rows for each, find that planning anew pays, and do so for every request.
const LIMIT_IN_TEXT_MAX: i64 = 1000;

fn span(f: &mut Fragment, span: Span) {
    match span.limit() {
        Some(limit) if limit <= LIMIT_IN_TEXT_MAX => {
            f.push(" limit ").number(limit);
        }
        Some(limit) => {
            f.push(" limit ").bind(limit.to_string());
        }
        None => {}
    }
    if span.lower != 0 {
        f.push(" offset ").bind(span.lower.to_string());
    }
}

/// `cast(… as type)`. A type's name cannot be bound or quoted, so what the grammar lets through is checked again.
fn cast(f: &mut Fragment, type_name: Option<&str>, inner: impl FnOnce(&mut Fragment)) {
    match type_name {
        Some(name) => {
            f.push("cast(");
            inner(f);
            f.push(" as ").catalog_text(&plain_type(name)).push(")");
        }
        None => inner(f),
    }
}

/// A type's name with nothing in it that could be more than a name. A `$` counts only within a word: at the
/// start of one it would begin a parameter or a dollar quote.
fn plain_type(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for c in name.chars() {
        let within = plain.ends_with(|before: char| before.is_alphanumeric() || before == '_');
        if c.is_alphanumeric() || matches!(c, '_' | ' ') || (c == '$' && within) {
            plain.push(c);
        }
    }
    plain
}

/// Writes levels. Embedded JSON is `jsonb` rather than `json`: it can be compared, which GROUP BY needs, and replies
/// are then the same to the byte as the reference's (src/PostgREST/Query/QueryBuilder.hs). It is made without the
/// detour over text (`json_agg(…)::jsonb`), an eighth faster for 20 parents with two levels under them.
struct Writer;

impl Writer {
    fn level(&self, f: &mut Fragment, level: &Level) {
        f.push("select ");
        self.select_list(f, level);
        from(f, level);
        for (output, child) in level.outputs.iter().zip(&level.embeds) {
            self.lateral(f, output, child);
        }
        let mut conditions = Conditions::default();
        for tree in &level.conditions {
            conditions.next(f);
            filter::tree(f, &level.qualifier, tree);
        }
        if let Some(tree) = &level.behind {
            conditions.next(f);
            filter::tree(f, &level.qualifier, tree);
        }
        for join in &level.joins {
            conditions.next(f);
            self::join(f, join);
        }
        if is_aggregated(level) {
            self.group_by(f, level);
        }
        filter::order(f, &level.qualifier, &level.order);
        span(f, level.span);
    }

    fn select_list(&self, f: &mut Fragment, level: &Level) {
        let mut list = List::default();
        if level.columns.is_empty() && level.embeds.is_empty() {
            list.next(f);
            filter::qualified(f, &level.qualifier, "*");
        }
        for column in &level.columns {
            list.next(f);
            self.column(f, &level.qualifier, column);
        }
        if let Spread::ToMany { extra, .. } = &level.spread {
            for extra in extra {
                list.next(f);
                self.column(f, extra.lateral.as_deref().unwrap_or(&level.qualifier), &extra.column);
            }
        }
        for output in &level.outputs {
            self.output(f, &mut list, output);
        }
    }

    fn column(&self, f: &mut Fragment, qualifier: &str, column: &Column) {
        cast(f, column.aggregate_cast.as_deref().filter(|_| column.aggregate.is_some()), |f| {
            if let Some(aggregate) = column.aggregate {
                f.push(aggregate.as_str()).push("(");
            }
            cast(f, column.cast.as_deref(), |f| match &column.reference.transform {
                Some(function) => {
                    f.catalog_text(function).push("(");
                    filter::reference(f, qualifier, &column.reference);
                    f.push(")");
                }
                None => filter::reference(f, qualifier, &column.reference),
            });
            if column.aggregate.is_some() {
                f.push(")");
            }
        });
        alias(f, column.alias.as_deref());
    }

    fn output(&self, f: &mut Fragment, list: &mut List, output: &Output) {
        match output {
            Output::Json { empty: true, .. } => {}
            Output::Json { name, lateral, many: true, .. } => {
                list.next(f);
                f.push("coalesce(");
                filter::qualified(f, lateral, lateral);
                f.push(", '[]')").push(" as ").quoted(name);
            }
            Output::Json { name, lateral, many: false, .. } => {
                list.next(f);
                f.push("to_jsonb(");
                filter::qualified(f, lateral, "*");
                f.push(") as ").quoted(name);
            }
            Output::Spread { lateral, columns } => {
                for column in columns {
                    list.next(f);
                    self.spread_column(f, lateral, column);
                }
            }
        }
    }

    fn spread_column(&self, f: &mut Fragment, lateral: &str, column: &SpreadColumn) {
        cast(f, column.aggregate_cast.as_deref().filter(|_| column.aggregate.is_some()), |f| {
            if let Some(aggregate) = column.aggregate {
                f.push(aggregate.as_str()).push("(");
            }
            filter::qualified(f, lateral, &column.name);
            if column.aggregate.is_some() {
                f.push(")");
            }
        });
        alias(f, column.alias.as_deref());
    }

    /// Joins an embed. Of a to-many embed one row comes, with all rows as JSON under the alias's own name.
    fn lateral(&self, f: &mut Fragment, output: &Output, child: &Level) {
        let lateral = output.lateral();
        f.push(if child.inner { " inner join lateral (" } else { " left join lateral (" });
        let many = match output {
            Output::Json { many, .. } => *many,
            Output::Spread { .. } => matches!(child.spread, Spread::ToMany { .. }),
        };
        if many {
            f.push("select jsonb_agg(").quoted(lateral).push(") as ").quoted(lateral);
            if let (Output::Spread { columns, .. }, Spread::ToMany { order, .. }) = (output, &child.spread) {
                for column in columns {
                    f.push(", coalesce(jsonb_agg(");
                    filter::qualified(f, lateral, &column.name);
                    filter::order(f, lateral, order);
                    f.push("), '[]') as ");
                    f.quoted(column.alias.as_deref().unwrap_or(&column.name));
                }
            }
            f.push(" from (");
            self.level(f, child);
            f.push(") as ").quoted(lateral);
        } else {
            self.level(f, child);
        }
        f.push(") as ").quoted(lateral).push(" on ");
        if child.inner && many {
            filter::qualified(f, lateral, lateral);
            f.push(" is not null");
        } else {
            f.push("true");
        }
    }

    /// Everything that is not aggregated.
    fn group_by(&self, f: &mut Fragment, level: &Level) {
        let mut list = List { separator: " group by ", any: false };
        for column in level.columns.iter().filter(|column| column.aggregate.is_none()) {
            list.next(f);
            match &column.alias {
                Some(alias) => {
                    f.quoted(alias);
                }
                None => filter::reference(f, &level.qualifier, &column.reference),
            }
        }
        for output in &level.outputs {
            match output {
                Output::Json { empty: true, .. } => {}
                Output::Json { name, .. } => {
                    list.next(f);
                    f.quoted(name);
                }
                Output::Spread { lateral, columns } => {
                    for column in columns.iter().filter(|column| column.aggregate.is_none()) {
                        list.next(f);
                        filter::qualified(f, lateral, column.alias.as_deref().unwrap_or(&column.name));
                    }
                }
            }
        }
    }
}

fn alias(f: &mut Fragment, alias: Option<&str>) {
    if let Some(alias) = alias {
        f.push(" as ").quoted(alias);
    }
}

/// Writes commas between items.
#[derive(Default)]
struct List {
    separator: &'static str,
    any: bool,
}

impl List {
    fn next(&mut self, f: &mut Fragment) {
        f.push(if self.any { ", " } else { self.separator });
        self.any = true;
    }
}
