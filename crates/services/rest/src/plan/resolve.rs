//! Columns: what the schema cache knows about the names that a request uses.

use super::level::{Column, Level, Order, Reference, Tree};
use crate::faults;
use crate::request::{Aggregate, Field, Filter, Logic, Operand, Operation, SelectColumn};
use crate::schema::{self, Name, Relation, SchemaCache};
use fault::Fault;

/// Resolves the columns, conditions and orders of a level and those below.
pub fn resolve(level: &mut Level, cache: &SchemaCache) {
    resolve_within(level, cache, false);
}

/// Types whose text says nothing of the database they are in. Others do: `regclass`, its kin and its arrays turn
/// numbers into names, and so does every row type with such a column.
const PLAIN_TYPES: [&str; 40] = [
    "bigint",
    "bool",
    "boolean",
    "bpchar",
    "bytea",
    "char",
    "character",
    "character varying",
    "cidr",
    "date",
    "decimal",
    "double precision",
    "float",
    "float4",
    "float8",
    "inet",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "interval",
    "json",
    "jsonb",
    "money",
    "numeric",
    "real",
    "smallint",
    "text",
    "time",
    "time with time zone",
    "time without time zone",
    "timestamp",
    "timestamp with time zone",
    "timestamp without time zone",
    "timestamptz",
    "timetz",
    "uuid",
    "varchar",
    "xml",
];

/// Refuses casts to other than plain types: in a shared database they would tell which tables other projects have.
pub fn refuse_catalog_casts(level: &Level) -> Result<(), Fault> {
    let casts = level.columns.iter().flat_map(|column| [&column.cast, &column.aggregate_cast]).flatten();
    for cast in casts {
        if !PLAIN_TYPES.contains(&cast.trim().to_lowercase().as_str()) {
            return Err(faults::unknown_type(cast));
        }
    }
    level.embeds.iter().try_for_each(refuse_catalog_casts)
}

fn resolve_within(level: &mut Level, cache: &SchemaCache, aggregated: bool) {
    let raw = std::mem::take(&mut level.raw);
    let names = Columns::of(cache, &level.relation);
    let aggregated = aggregated
        || raw.columns.iter().any(|column| column.aggregate.is_some())
        || matches!(level.spread, super::level::Spread::ToMany { .. });
    level.columns = names.selected(raw.columns, aggregated, level.spread.is_spread());
    let filters = raw.filters.iter().map(|filter| names.filter(filter));
    let logic = raw.logic.iter().map(|logic| names.logic(logic));
    level.conditions = filters.chain(logic).collect();
    level.order = raw
        .order
        .into_iter()
        .map(|term| Order {
            reference: match term.relation {
                Some(_) => Reference { path: term.field.path, ..Reference::unknown(term.field.name) },
                None => names.reference(&term.field),
            },
            lateral: term.relation,
            direction: term.direction,
            nulls: term.nulls,
        })
        .collect();
    for child in &mut level.embeds {
        resolve_within(child, cache, aggregated);
    }
}

/// The columns of one relation, if it is known.
pub struct Columns<'a> {
    cache: &'a SchemaCache,
    relation: Option<&'a Relation>,
}

impl<'a> Columns<'a> {
    /// The columns of a relation, or of something that the cache does not know.
    pub fn of(cache: &'a SchemaCache, name: &Name) -> Self {
        let relation = cache.relation(&name.schema, &name.name).map(|relation| &**relation);
        Columns { cache, relation }
    }

    fn column(&self, name: &str) -> Option<&'a schema::Column> {
        self.relation.and_then(|relation| relation.column(name))
    }

    /// A column where its value is read.
    pub fn reference(&self, field: &Field) -> Reference {
        let nominal_type = self.column(&field.name).map(|column| column.nominal_type.clone());
        // JSON columns take the arrows directly, or their indexes would not apply.
        let to_jsonb = !matches!(nominal_type.as_deref(), Some("json" | "jsonb"));
        Reference {
            name: field.name.clone(),
            path: field.path.clone(),
            to_jsonb,
            nominal_type,
            ..Reference::default()
        }
    }

    /// A column of the result.
    fn output(&self, field: &Field) -> Reference {
        let mut reference = self.reference(field);
        reference.transform = self.transform(reference.nominal_type.as_deref(), Some("json"));
        reference
    }

    fn transform(&self, source: Option<&str>, target: Option<&str>) -> Option<Box<str>> {
        self.cache.representation(source?, target?).map(|found| found.function.clone())
    }

    fn selected(&self, columns: Vec<SelectColumn>, aggregated: bool, spread: bool) -> Vec<Column> {
        let expands = aggregated || self.has_representations();
        columns.into_iter().flat_map(|column| self.selected_one(column, expands, spread)).collect()
    }

    fn has_representations(&self) -> bool {
        self.relation.is_some_and(|relation| {
            relation
                .columns
                .iter()
                .any(|column| self.cache.representation(&column.nominal_type, "json").is_some())
        })
    }

    fn selected_one(&self, selected: SelectColumn, expands: bool, spread: bool) -> Vec<Column> {
        let star = selected.field.name == "*" && selected.field.path.is_empty();
        if star
            && expands
            && selected.aggregate.is_none()
            && let Some(relation) = self.relation
        {
            let column = |column: &schema::Column| {
                let reference = self.output(&Field::column(&*column.name));
                let alias = reference.transform.is_some().then(|| reference.name.clone());
                Column { alias, ..Column::plain(reference) }
            };
            return relation.columns.iter().map(column).collect();
        }
        let mut column = Column {
            reference: self.output(&selected.field),
            cast: selected.cast,
            aggregate: selected.aggregate,
            aggregate_cast: selected.aggregate_cast,
            alias: selected.alias,
        };
        column.reference.whole_row = star && spread && column.aggregate == Some(Aggregate::Count);
        if column.alias.is_none() {
            column.alias = implied_alias(&column, spread);
        }
        vec![column]
    }

    /// A condition on one of the columns.
    pub fn filter(&self, filter: &Filter) -> Tree {
        let mut reference = self.reference(&filter.field);
        if let Operation::Search { language, .. } = &filter.condition.operation {
            // A column that the cache does not know is computed: what it yields is taken as it is.
            if self.column(&filter.field.name).is_some_and(|column| &*column.base_type != "tsvector") {
                reference.search = Some(language.clone());
            }
        }
        reference.transform = self.transform(Some("text"), reference.nominal_type.as_deref());
        Tree::Leaf { reference, condition: filter.condition.clone() }
    }

    /// A tree of conditions on the columns.
    pub fn logic(&self, logic: &Logic) -> Tree {
        match logic {
            Logic::Filter(filter) => self.filter(filter),
            Logic::Group { negated, any, items } => Tree::Group {
                negated: *negated,
                any: *any,
                items: items.iter().map(|item| self.logic(item)).collect(),
            },
        }
    }
}

/// The name of a column that has none of its own: a JSON path's last key, a formatted domain's column, an
/// aggregate's function within a spread.
fn implied_alias(column: &Column, spread: bool) -> Option<String> {
    if let Some(aggregate) = column.aggregate {
        return spread.then(|| aggregate.as_str().to_owned());
    }
    let reference = &column.reference;
    let last_key = reference.path.iter().rev().find_map(|step| match &step.operand {
        Operand::Key(key) => Some(key.clone()),
        Operand::Index(_) => None,
    });
    if !reference.path.is_empty() {
        return Some(last_key.unwrap_or_else(|| reference.name.clone()));
    }
    reference.transform.is_some().then(|| reference.name.clone())
}
