//! The tree of levels that `select` asks for, with filters, orders and ranges put where they belong.

use super::level::{Level, Raw, Spread};
use crate::faults;
use crate::request::{Action, EmbedPath, Request, SelectItem};
use fault::Fault;

/// The tree of a request, its relations not yet found.
pub fn build(request: &Request, root: &str, legacy_names: bool) -> Result<Level, Fault> {
    let mut level = Level::new(root, 0);
    add_items(&mut level, &request.query.select);
    let mutates = matches!(request.action, Action::Mutate { .. });
    let query = &request.query;
    for (path, filter) in query.filters.iter().filter(|(path, _)| !mutates || !path.is_empty()) {
        at(&mut level, path, legacy_names)?.filters.push(filter.clone());
    }
    for (path, order) in &query.order {
        at(&mut level, path, legacy_names)?.order = order.clone();
    }
    if !mutates {
        for (path, span) in &query.ranges {
            find(&mut level, path, legacy_names)?.span = *span;
        }
        level.span = request.span;
    }
    for (path, logic) in query.logic.iter().filter(|(path, _)| !mutates || !path.is_empty()) {
        at(&mut level, path, legacy_names)?.logic.push(logic.clone());
    }
    Ok(level)
}

fn add_items(level: &mut Level, items: &[SelectItem]) {
    for item in items {
        match item {
            SelectItem::Column(column) => level.raw.columns.push(column.clone()),
            SelectItem::Embed(embed) => {
                let mut child = Level::new(&embed.relation, level.depth + 1);
                child.alias = embed.alias.clone();
                child.hint = embed.hint.clone();
                child.inner = embed.inner;
                child.spread = if embed.spread { Spread::ToOne } else { Spread::No };
                add_items(&mut child, &embed.items);
                level.embeds.push(child);
            }
        }
    }
}

fn at<'a>(level: &'a mut Level, path: &EmbedPath, legacy_names: bool) -> Result<&'a mut Raw, Fault> {
    find(level, path, legacy_names).map(|level| &mut level.raw)
}

/// The level that a path leads to.
fn find<'a>(level: &'a mut Level, path: &[String], legacy_names: bool) -> Result<&'a mut Level, Fault> {
    let Some((name, rest)) = path.split_first() else { return Ok(level) };
    let by_relation =
        |child: &Level| child.asked == *name && child.alias.as_ref().is_some_and(|alias| alias != name);
    let found = level
        .embeds
        .iter()
        .position(|child| child.shown_name() == name || (legacy_names && child.asked == *name));
    let Some(index) = found else {
        return Err(
            match level.embeds.iter().find(|child| by_relation(child)).and_then(|child| child.alias.as_ref())
            {
                Some(alias) => faults::alias_wanted(name, alias),
                None => faults::not_embedded(name),
            },
        );
    };
    let child = &mut level.embeds[index];
    if by_relation(child) {
        child.named_by_relation = true;
    }
    find(child, rest, legacy_names)
}
