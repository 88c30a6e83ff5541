//! The second stage: a [`Request`] and the schema cache become a [`Plan`]. Pure: the database is not asked.

mod call;
mod keyset;
mod level;
mod mutate;
mod negotiate;
mod relate;
mod resolve;
mod shape;
mod similar;
mod tree;

pub use call::{Arguments, Call, Value};
pub use keyset::Keyset;
pub use level::{Column, Join, Level, Order, Output, Reference, Source, Spread, SpreadColumn, Tree};
pub use mutate::{PayloadColumn, Returning, Write};
pub use negotiate::Maker;
pub use relate::junction_alias;

use crate::config::Settings;
use crate::faults;
use crate::request::{Action, Calling, MediaType, Mutation, Representation, Request};
use crate::schema::{Function, Name, Relation, SchemaCache, Volatility};
use fault::Fault;
use negotiate::{Subject, negotiate};
use relate::Related;
use std::sync::Arc;

/// What is to be done, with everything decided that can be decided without the database.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Rows are read, written or computed.
    Rows(Box<Rows>),
    /// The root's description.
    Describe { head: bool, schema: String },
    /// The methods that something has.
    Info { allow: String },
}

/// A plan that ends in a statement.
#[derive(Debug, Clone)]
pub struct Rows {
    pub root: Level,
    pub work: Work,
    pub maker: Maker,
    pub media: MediaType,
    /// Pages are found by cursors.
    pub keyset: Option<Keyset>,
}

/// What the rows are.
#[derive(Debug, Clone)]
pub enum Work {
    Read { head: bool },
    Write(Write),
    Call { call: Call, how: Calling },
}

impl Rows {
    /// Whether the transaction must not write.
    pub fn read_only(&self) -> bool {
        match &self.work {
            Work::Read { .. } => true,
            Work::Write(_) => false,
            Work::Call { call, how } => {
                *how != Calling::Post || call.function.volatility != Volatility::Volatile
            }
        }
    }

    /// The function that is called.
    pub fn function(&self) -> Option<&Function> {
        match &self.work {
            Work::Call { call, .. } => Some(&call.function),
            Work::Read { .. } | Work::Write(_) => None,
        }
    }
}

/// What a plan is made from.
#[derive(Clone, Copy)]
pub struct Planner<'a> {
    pub cache: &'a SchemaCache,
    pub settings: &'a Settings,
}

/// Relations of a schema beyond which no name is suggested.
const SUGGESTED_FROM_MAX: usize = 500;

impl<'a> Planner<'a> {
    /// The plan of a request.
    pub fn plan(self, request: &Request) -> Result<Plan, Fault> {
        let rows = |rows: Result<Rows, Fault>| rows.map(|rows| Plan::Rows(Box::new(rows)));
        match &request.action {
            Action::Read { relation, head } => rows(self.read(request, relation, *head)),
            Action::Mutate { relation, mutation } => rows(self.write(request, relation, *mutation)),
            Action::Call { function, how } => rows(self.call(request, function, *how)),
            Action::Describe { head } => self.describe(request, *head),
            Action::RelationInfo { relation } => {
                Ok(Plan::Info { allow: relation_methods(&**self.relation(request, relation)?) })
            }
            Action::FunctionInfo { function } => {
                let function = call::find(request, function, Calling::Get, self.cache, self.settings)?;
                let allow = match function.volatility {
                    Volatility::Volatile => "OPTIONS,POST",
                    Volatility::Stable | Volatility::Immutable => "OPTIONS,GET,HEAD,POST",
                };
                Ok(Plan::Info { allow: allow.to_owned() })
            }
            Action::RootInfo => Ok(Plan::Info { allow: "OPTIONS,GET,HEAD".to_owned() }),
        }
    }

    fn relation(self, request: &Request, name: &str) -> Result<&'a Arc<Relation>, Fault> {
        self.cache.relation(&request.schema, name).ok_or_else(|| {
            let perhaps =
                self.cache.schema(&request.schema).filter(|part| part.relations.len() < SUGGESTED_FROM_MAX);
            let perhaps = perhaps
                .and_then(|part| similar::closest(part.relations.keys().map(|known| &**known), name, 0.75));
            faults::unknown_relation(self.settings.shown_schema(&request.schema), name, perhaps.as_deref())
        })
    }

    /// The tree of levels under a relation.
    fn levels(self, request: &Request, name: &Name, source: Source) -> Result<Level, Fault> {
        let mut root = tree::build(request, &name.name, self.settings.url_use_legacy_target_names)?;
        root.relation = name.clone();
        root.source = source;
        relate::relate(
            &mut root,
            Related { cache: self.cache, settings: self.settings, schema: &request.schema },
        )?;
        resolve::resolve(&mut root, self.cache);
        let rows_max = match request.action {
            Action::Mutate { .. } => None,
            _ => self.settings.db_max_rows,
        };
        shape::shape(&mut root, self.settings.db_aggregates_enabled, rows_max)?;
        if self.settings.hides_catalog() {
            resolve::refuse_catalog_casts(&root)?;
        }
        Ok(root)
    }

    fn read(self, request: &Request, name: &str, head: bool) -> Result<Rows, Fault> {
        let relation = self.relation(request, name)?;
        let mut root = self.levels(request, &relation.name, Source::Relation)?;
        let (maker, media) = self.negotiate(request, &root, &relation.name, None)?;
        known_preferences(request)?;
        let keyset = keyset::plan(request, relation, &mut root, self.cache)?;
        let maker = if head { Maker::Nothing } else { maker };
        Ok(Rows { root, work: Work::Read { head }, maker, media, keyset })
    }

    fn write(self, request: &Request, name: &str, mutation: Mutation) -> Result<Rows, Fault> {
        let relation = self.relation(request, name)?;
        let root = self.levels(request, &relation.name, Source::Written)?;
        let write = mutate::plan(request, relation, mutation, &root, self.cache)?;
        known_preferences(request)?;
        let (maker, media) = self.negotiate(request, &root, &relation.name, None)?;
        let full = request.prefer.representation == Some(Representation::Full);
        let maker = if full { maker } else { Maker::Nothing };
        Ok(Rows { root, work: Work::Write(write), maker, media, keyset: None })
    }

    fn call(self, request: &Request, name: &str, how: Calling) -> Result<Rows, Fault> {
        let function = call::find(request, name, how, self.cache, self.settings)?;
        let rows_of = match function.row_type() {
            Some(row_type) => Name::new(&*request.schema, &*row_type.name),
            None => function.name.clone(),
        };
        let root = self.levels(request, &rows_of, Source::Written)?;
        let (maker, media) = self.negotiate(request, &root, &rows_of, Some(&function))?;
        known_preferences(request)?;
        if request.prefer.is_strict() && request.prefer.max_affected.is_some() && !function.returns_set() {
            return Err(faults::max_affected_single());
        }
        let maker = if how == Calling::Head { Maker::Nothing } else { maker };
        let call = call::plan(request, function, how, &root);
        Ok(Rows { root, work: Work::Call { call, how }, maker, media, keyset: None })
    }

    fn negotiate(
        self,
        request: &Request,
        root: &Level,
        name: &Name,
        function: Option<&Function>,
    ) -> Result<(Maker, MediaType), Fault> {
        let subject = Subject {
            name,
            function: function.map(|function| &function.name),
            selects_all: root.selects_all_only(),
        };
        negotiate(&request.accept, subject, self.cache, self.settings)
    }

    fn describe(self, request: &Request, head: bool) -> Result<Plan, Fault> {
        let offered = [MediaType::OpenApi, MediaType::Json, MediaType::Any];
        if !request.accept.iter().any(|media| offered.contains(media)) {
            return Err(faults::not_acceptable(&request.accept));
        }
        Ok(Plan::Describe { head, schema: request.schema.clone() })
    }
}

/// With strict handling no preference may be unknown.
fn known_preferences(request: &Request) -> Result<(), Fault> {
    if request.prefer.is_strict() && !request.prefer.unknown.is_empty() {
        return Err(faults::unknown_preferences(&request.prefer.unknown));
    }
    Ok(())
}

/// The methods of a relation: by its nature, not by anyone's rights.
fn relation_methods(relation: &Relation) -> String {
    let mut methods = String::from("OPTIONS,GET,HEAD");
    let has_key = !relation.primary_key.is_empty();
    for (method, has) in [
        (",POST", relation.insertable),
        (",PUT", relation.insertable && relation.updatable && has_key),
        (",PATCH", relation.updatable),
        (",DELETE", relation.deletable),
    ] {
        if has {
            methods.push_str(method);
        }
    }
    methods
}
