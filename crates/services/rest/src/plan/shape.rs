//! What embeds do to the level they are in: they order it, filter it, add columns to it, aggregate it.

use super::level::{Column, ExtraColumn, Level, Order, Output, Reference, Spread, SpreadColumn, Tree};
use crate::faults;
use crate::request::{Condition, IsValue, Operation};
use fault::Fault;

/// Completes a tree whose relations and columns are known.
pub fn shape(root: &mut Level, aggregates_enabled: bool, rows_max: Option<u64>) -> Result<(), Fault> {
    related_orders(root)?;
    embedded_conditions(root);
    outputs(root);
    if !aggregates_enabled && aggregates(root) {
        return Err(faults::aggregates_disabled());
    }
    hoist(root);
    spread_orders(root)?;
    cap(root, rows_max);
    Ok(())
}

/// `order=embed(column)`: the embed must be there and have at most one row.
fn related_orders(level: &mut Level) -> Result<(), Fault> {
    let Level { order, embeds, relation, .. } = level;
    for term in order.iter_mut() {
        let Some(name) = &term.lateral else { continue };
        let Some(child) = embeds.iter().find(|child| child.shown_name() == name) else {
            return Err(faults::not_embedded(name));
        };
        if !child.is_to_one() {
            return Err(faults::order_not_to_one(&relation.name, child.shown_name()));
        }
        term.lateral = Some(child.lateral.clone());
    }
    embeds.iter_mut().try_for_each(related_orders)
}

/// `embed=is.null`: asks whether the embed has rows.
fn embedded_conditions(level: &mut Level) {
    let Level { conditions, embeds, .. } = level;
    conditions.iter_mut().for_each(|tree| embedded_condition(tree, embeds));
    embeds.iter_mut().for_each(embedded_conditions);
}

fn embedded_condition(tree: &mut Tree, embeds: &[Level]) {
    match tree {
        Tree::Group { items, .. } => items.iter_mut().for_each(|item| embedded_condition(item, embeds)),
        Tree::Leaf {
            reference,
            condition:
                Condition { negated, operation: Operation::Is(value @ (IsValue::Null | IsValue::NotNull)) },
        } if reference.path.is_empty() => {
            // `is.not_null` is not among the embed's filters in the reference; it means the same there.
            let present = *negated != (*value == IsValue::NotNull);
            if let Some(child) = embeds.iter().find(|child| child.shown_name() == reference.name) {
                *tree = Tree::Embedded { lateral: child.lateral.clone(), present };
            }
        }
        Tree::Leaf { .. } | Tree::Embedded { .. } => {}
    }
}

/// What each embed adds to the columns of its parent.
fn outputs(level: &mut Level) {
    level.embeds.iter_mut().for_each(outputs);
    level.outputs = level.embeds.iter().map(output).collect();
}

fn output(child: &Level) -> Output {
    let lateral = child.lateral.clone();
    if child.spread.is_spread() {
        return Output::Spread { lateral, columns: spread_columns(child) };
    }
    Output::Json {
        name: child.shown_name().to_owned(),
        lateral,
        many: !child.is_to_one(),
        empty: is_empty(child),
    }
}

/// Neither the level nor anything below it selects a column.
fn is_empty(level: &Level) -> bool {
    level.columns.is_empty() && level.embeds.iter().all(is_empty)
}

fn spread_columns(child: &Level) -> Vec<SpreadColumn> {
    let own = child.columns.iter().map(|column| {
        SpreadColumn::named(column.alias.clone().unwrap_or_else(|| column.reference.name.clone()))
    });
    let below = child.outputs.iter().flat_map(|output| match output {
        Output::Json { name, empty: false, .. } => vec![SpreadColumn::named(name.clone())],
        Output::Json { .. } => Vec::new(),
        Output::Spread { columns, .. } => columns.clone(),
    });
    own.chain(below).collect()
}

fn aggregates(level: &Level) -> bool {
    level.columns.iter().any(|column| column.aggregate.is_some()) || level.embeds.iter().any(aggregates)
}

/// An aggregate that leaves a level for the one above.
struct Hoisted {
    lateral: String,
    name: String,
    column: SpreadColumn,
}

/// Aggregates within to-one spreads are evaluated by the nearest level above that is not one.
fn hoist(level: &mut Level) -> Vec<Hoisted> {
    let below: Vec<Hoisted> = level.embeds.iter_mut().flat_map(hoist).collect();
    if level.spread != Spread::ToOne {
        apply_hoisted(level, &below);
        return Vec::new();
    }
    let mut own: Vec<Hoisted> = Vec::new();
    for column in &mut level.columns {
        let Some(aggregate) = column.aggregate.take() else { continue };
        let name = column.alias.clone().unwrap_or_else(|| column.reference.name.clone());
        own.push(Hoisted {
            lateral: level.lateral.clone(),
            column: SpreadColumn {
                name: name.clone(),
                aggregate: Some(aggregate),
                aggregate_cast: column.aggregate_cast.take(),
                alias: column.alias.clone(),
            },
            name,
        });
    }
    let lateral = &level.lateral;
    own.extend(below.into_iter().map(|hoisted| Hoisted { lateral: lateral.clone(), ..hoisted }));
    own
}

fn apply_hoisted(level: &mut Level, hoisted: &[Hoisted]) {
    for output in &mut level.outputs {
        let Output::Spread { lateral, columns } = output else { continue };
        for column in columns {
            if let Some(found) =
                hoisted.iter().find(|item| item.lateral == *lateral && item.name == column.name)
            {
                *column = found.column.clone();
            }
        }
    }
}

/// The rows of a to-many spread are ordered when they are aggregated, so what orders them is selected too.
fn spread_orders(level: &mut Level) -> Result<(), Fault> {
    if matches!(level.spread, Spread::ToMany { .. }) {
        let lifted = level.outputs.iter().any(|output| match output {
            Output::Spread { columns, .. } => columns.iter().any(|column| column.aggregate.is_some()),
            Output::Json { .. } => false,
        });
        if lifted || level.columns.iter().any(|column| column.aggregate.is_some()) {
            let text = "Aggregates are not implemented for one-to-many or many-to-many spreads.";
            return Err(faults::not_implemented(text));
        }
        let mut extra = Vec::new();
        let mut order = Vec::new();
        for (index, term) in std::mem::take(&mut level.order).into_iter().enumerate() {
            let alias = format!("{}_{}_{}", level.lateral, term.reference.name, index + 1);
            let column = Column { alias: Some(alias.clone()), ..Column::plain(term.reference) };
            extra.push(ExtraColumn { lateral: term.lateral, column });
            order.push(Order {
                lateral: None,
                reference: Reference::unknown(alias),
                direction: term.direction,
                nulls: term.nulls,
            });
        }
        level.spread = Spread::ToMany { extra, order };
    }
    level.embeds.iter_mut().try_for_each(spread_orders)
}

/// No level returns more rows than the settings allow.
fn cap(level: &mut Level, rows_max: Option<u64>) {
    level.span = level.span.capped(rows_max);
    level.embeds.iter_mut().for_each(|child| cap(child, rows_max));
}
