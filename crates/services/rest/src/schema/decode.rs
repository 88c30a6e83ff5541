//! From the catalog's rows to the schema cache. Pure, and the same for tests.

use super::definition::origins;
use super::keys::{Key, KeyColumn, KeyKind, KeyedRelation};
use super::load::{Catalog, LoadError};
use super::relationships::{Computed, Known, deduce};
use super::{
    Argument, Column, Function, HandlerTarget, Isolation, MediaHandler, MediaHandlers, Name, PgType,
    Relation, RelationKind, Representation, ReturnType, SchemaCache, SchemaPart, Volatility,
};
use pg::{Row, Rows};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What of the settings shapes the cache.
pub(super) struct Wanted {
    /// The exposed schemas.
    pub schemas: Vec<String>,
    /// Relations and functions whose names start so are left out.
    pub hidden_prefix: Option<String>,
    /// Names of function settings that are kept.
    pub hoisted: Vec<String>,
}

impl Wanted {
    fn hides(&self, name: &str) -> bool {
        self.hidden_prefix.as_ref().is_some_and(|prefix| name.starts_with(&**prefix))
    }
}

/// Texts that occur again and again (types, schemas, column names) are kept once.
#[derive(Default)]
struct Interner(HashSet<Arc<str>>);

impl Interner {
    fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }

    fn name(&mut self, schema: &str, name: &str) -> Name {
        Name { schema: self.get(schema), name: self.get(name) }
    }
}

/// Puts the cache together.
pub(super) fn cache(catalog: &Catalog, wanted: &Wanted) -> Result<SchemaCache, LoadError> {
    let mut names = Interner::default();
    let mut schemas: HashMap<Arc<str>, SchemaPart> = HashMap::new();
    for (name, comment) in rows::<(String, Option<String>)>(&catalog.schemas)? {
        schemas.insert(
            names.get(&name),
            SchemaPart { comment: comment.map(Into::into), ..SchemaPart::default() },
        );
    }
    let mut keyed = keyed_relations(&catalog.keys, &mut names)?;
    keyed.retain(|item| !wanted.hides(&item.name.name));
    let loaded = relations(&catalog.relations, wanted, &mut names)?;
    let is_exposed = |name: &Name| wanted.schemas.iter().any(|schema| **schema == *name.schema);
    let exposed: HashSet<u32> =
        keyed.iter().filter(|item| is_exposed(&item.name)).map(|item| item.id).collect();
    let views = view_columns(&loaded);
    let computed = computed(&catalog.computed, &mut names)?;
    let deduced = deduce(Known {
        relations: &keyed,
        exposed: &exposed,
        views: &views,
        computed: computed.into_iter().filter(|item| is_exposed(&item.foreign_table)).collect(),
    });
    for (schema, by_origin) in deduced.relationships {
        if let Some(part) = schemas.get_mut(&schema) {
            part.relationships = by_origin;
        }
    }
    let primary = primary_keys(&keyed, deduced.view_primary_keys);
    for LoadedRelation { id, mut relation, .. } in loaded {
        relation.primary_key = primary.get(&id).cloned().unwrap_or_default();
        if let Some(part) = schemas.get_mut(&relation.name.schema) {
            part.relations.insert(Arc::clone(&relation.name.name), Arc::new(relation));
        }
    }
    for function in functions(&catalog.functions, wanted, &mut names)? {
        if let Some(part) = schemas.get_mut(&function.name.schema) {
            part.functions.entry(Arc::clone(&function.name.name)).or_default().push(Arc::new(function));
        }
    }
    for overloads in schemas.values_mut().flat_map(|part| part.functions.values_mut()) {
        overloads.sort_by(|a, b| a.arguments.len().cmp(&b.arguments.len()).then_with(|| by_text(a, b)));
    }
    let representations = representations(&catalog.representations, &mut names)?;
    Ok(SchemaCache::new(schemas, representations, media(&catalog.media, &mut names)?))
}

/// Overloads with as many arguments, in the order in which the reference lists them.
fn by_text(a: &Function, b: &Function) -> std::cmp::Ordering {
    let key = |function: &Function| {
        let arguments = function.arguments.iter().map(|item| (item.name.clone(), item.type_name.clone()));
        (function.comment.clone(), arguments.collect::<Vec<_>>())
    };
    key(a).cmp(&key(b))
}

fn rows<T: DeserializeOwned>(rows: &Rows) -> Result<Vec<T>, LoadError> {
    rows.iter().map(document).collect()
}

fn document<T: DeserializeOwned>(row: &Row) -> Result<T, LoadError> {
    Ok(serde_json::from_slice(row.bytes(0).unwrap_or_default())?)
}

/// A relation with its catalog numbers.
struct LoadedRelation {
    id: u32,
    relation: Relation,
    numbers: Vec<i16>,
}

type ColumnRow = (
    i16,                 // number
    String,              // name
    Option<String>,      // comment
    bool,                // nullable
    String,              // base type
    String,              // nominal type
    Option<i32>,         // length
    Option<String>,      // default
    Option<Vec<String>>, // enum labels
    bool,                // generated
    bool,                // identity
);

type RelationRow = (String, String, RelationKind, Option<String>, i32, u32, Vec<ColumnRow>);

fn relations(rows_: &Rows, wanted: &Wanted, names: &mut Interner) -> Result<Vec<LoadedRelation>, LoadError> {
    let mut loaded = Vec::with_capacity(rows_.len());
    for row in rows_.iter() {
        let (schema, name, kind, comment, can, id, columns): RelationRow = document(row)?;
        if wanted.hides(&name) {
            continue;
        }
        let relation = Relation {
            name: names.name(&schema, &name),
            comment: comment.map(Into::into),
            kind,
            insertable: can & 8 != 0,
            updatable: can & 4 != 0,
            deletable: can & 16 != 0,
            primary_key: Box::default(),
            columns: columns.iter().map(|item| column(item, names)).collect(),
        };
        loaded.push(LoadedRelation { id, relation, numbers: columns.iter().map(|item| item.0).collect() });
    }
    Ok(loaded)
}

fn column(row: &ColumnRow, names: &mut Interner) -> Column {
    let (
        _,
        name,
        comment,
        nullable,
        base_type,
        nominal_type,
        max_length,
        default,
        labels,
        generated,
        identity,
    ) = row;
    Column {
        name: names.get(name),
        comment: comment.as_deref().map(Into::into),
        nullable: *nullable,
        base_type: names.get(base_type),
        nominal_type: names.get(nominal_type),
        max_length: *max_length,
        default: default.as_deref().map(Into::into),
        enum_labels: labels.iter().flatten().map(|label| label.as_str().into()).collect(),
        generated: *generated,
        identity: *identity,
    }
}

fn view_columns(loaded: &[LoadedRelation]) -> HashMap<u32, HashMap<i16, Arc<str>>> {
    let views = loaded.iter().filter(|item| item.relation.is_view());
    views
        .map(|item| {
            let columns = item.relation.columns.iter().map(|column| Arc::clone(&column.name));
            (item.id, item.numbers.iter().copied().zip(columns).collect())
        })
        .collect()
}

/// Primary keys of tables (by column name, as the reference orders them) and of views.
fn primary_keys(
    keyed: &[KeyedRelation],
    views: HashMap<u32, Vec<Arc<str>>>,
) -> HashMap<u32, Box<[Arc<str>]>> {
    let mut found: HashMap<u32, Box<[Arc<str>]>> =
        views.into_iter().map(|(id, key)| (id, key.into())).collect();
    for relation in keyed {
        if let Some(key) = relation.keys.iter().find(|key| matches!(key.kind, KeyKind::Primary)) {
            let mut columns: Vec<Arc<str>> =
                key.columns.iter().map(|column| Arc::clone(&column.name)).collect();
            columns.sort();
            found.insert(relation.id, columns.into());
        }
    }
    found
}

type KeyRow = (String, String, Vec<i16>, Vec<String>, u32, Option<Vec<i16>>, Option<Vec<String>>);

fn keyed_relations(rows: &Rows, names: &mut Interner) -> Result<Vec<KeyedRelation>, LoadError> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        let (id, schema, name, is_view, keys): (u32, String, String, bool, Vec<KeyRow>) = document(row)?;
        found.push(KeyedRelation {
            id,
            name: names.name(&schema, &name),
            is_view,
            keys: keys.into_iter().map(|item| key(item, names)).collect(),
            origins: row.text(1).map(origins).unwrap_or_default(),
        });
    }
    Ok(found)
}

fn key(row: KeyRow, names: &mut Interner) -> Key {
    let (kind, name, numbers, columns, relation, foreign_numbers, foreign_columns) = row;
    let mut zip = |numbers: Vec<i16>, columns: Vec<String>| -> Vec<KeyColumn> {
        let zipped = numbers.into_iter().zip(columns);
        zipped.map(|(number, column)| KeyColumn { number, name: names.get(&column) }).collect()
    };
    let columns = zip(numbers, columns);
    let kind = match kind.as_str() {
        "p" => KeyKind::Primary,
        "u" => KeyKind::Unique,
        _ => KeyKind::Foreign {
            relation,
            columns: zip(foreign_numbers.unwrap_or_default(), foreign_columns.unwrap_or_default()),
        },
    };
    Key { name: names.get(&name), columns, kind }
}

type ComputedRow = (String, String, String, String, String, String, bool);

fn computed(rows_: &Rows, names: &mut Interner) -> Result<Vec<Computed>, LoadError> {
    let found = rows::<ComputedRow>(rows_)?.into_iter().map(
        |(schema, name, from_schema, from, to_schema, to, to_one)| Computed {
            function: names.name(&schema, &name),
            table: names.name(&from_schema, &from),
            foreign_table: names.name(&to_schema, &to),
            to_one,
        },
    );
    Ok(found.collect())
}

type FunctionRow = (
    String,                            // schema
    String,                            // name
    Option<String>,                    // comment
    Vec<(String, String, bool, bool)>, // arguments: name, type, required, variadic
    String,                            // schema of the result
    String,                            // name of the result
    bool,                              // returns a set
    bool,                              // returns rows
    bool,                              // through a domain
    Volatility,
    bool,                // variadic
    Option<Vec<String>>, // SET clauses
    u32,                 // oid
);

/// The types that a function's only argument may have to be unnamed.
const UNNAMED_TYPES: [&str; 5] = ["bytea", "json", "jsonb", "text", "xml"];

fn functions(rows: &Rows, wanted: &Wanted, names: &mut Interner) -> Result<Vec<Function>, LoadError> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        let (
            schema,
            name,
            comment,
            arguments,
            of_schema,
            of_name,
            set,
            composite,
            domain,
            volatility,
            variadic,
            config,
            oid,
        ): FunctionRow = document(row)?;
        let unnamed = arguments.iter().filter(|argument| argument.0.is_empty()).count();
        let callable = match arguments.as_slice() {
            [(_, type_name, ..)] if unnamed == 1 => UNNAMED_TYPES.contains(&type_name.as_str()),
            _ => unnamed == 0,
        };
        if !callable || wanted.hides(&name) {
            continue;
        }
        let result = names.name(&of_schema, &of_name);
        let inner = if composite {
            PgType::Composite { name: result, is_domain: domain }
        } else {
            PgType::Scalar(result)
        };
        let config = config.unwrap_or_default();
        let clauses = || config.iter().filter_map(|clause| clause.split_once('='));
        found.push(Function {
            oid,
            name: names.name(&schema, &name),
            comment: comment.map(Into::into),
            arguments: arguments.into_iter().map(argument).collect(),
            returns: if set { ReturnType::SetOf(inner) } else { ReturnType::Single(inner) },
            volatility,
            variadic,
            isolation: clauses()
                .find(|(name, _)| *name == "default_transaction_isolation")
                .and_then(|(_, value)| Isolation::parse(value)),
            settings: clauses()
                .filter(|(name, _)| wanted.hoisted.iter().any(|hoisted| hoisted == name))
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        });
    }
    Ok(found)
}

fn argument((name, type_name, required, variadic): (String, String, bool, bool)) -> Argument {
    let cast_type = match type_name.as_str() {
        "bit" => "bit varying",
        "bit[]" => "bit varying[]",
        "character" => "character varying",
        "character[]" => "character varying[]",
        other => other,
    };
    Argument {
        cast_type: cast_type.into(),
        name: name.into(),
        type_name: type_name.into(),
        required,
        variadic,
    }
}

fn representations(rows_: &Rows, names: &mut Interner) -> Result<Vec<Representation>, LoadError> {
    let found = rows::<(String, String, String)>(rows_)?.into_iter().map(|(source, target, function)| {
        Representation { source: names.get(&source), target: names.get(&target), function: function.into() }
    });
    Ok(found.collect())
}

type MediaRow = (String, String, bool, String, String, Option<(String, String)>);

fn media(rows_: &Rows, names: &mut Interner) -> Result<MediaHandlers, LoadError> {
    let mut found = Vec::new();
    for (schema, name, aggregate, domain, domain_schema, relation) in rows::<MediaRow>(rows_)? {
        let function = names.name(&schema, &name);
        let target = match relation {
            _ if !aggregate => HandlerTarget::Function(function.clone()),
            Some((schema, name)) => HandlerTarget::Relation(names.name(&schema, &name)),
            None => HandlerTarget::Any,
        };
        found.push(MediaHandler {
            function,
            target,
            media_type: domain.to_lowercase().into(),
            domain: names.name(&domain_schema, &domain),
        });
    }
    Ok(MediaHandlers::new(found))
}
