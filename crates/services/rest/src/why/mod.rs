//! Why a request is refused, or sees nothing: for the service key, what policies, grants and settings decide about it when
//! it comes from a given role with given claims, and PostgreSQL's plan.
//!
//! The request goes through the stages as it would. Then, in a transaction that is rolled back, the catalog is asked
//! for the facts and PostgreSQL for its opinion. The verdict is pure.

mod asked;
pub mod facts;
mod verdict;

pub use asked::{Asked, EXPLANATION, TOKEN, is_asked};

use crate::config::Settings;
use crate::plan::{Level, Rows, Work};
use crate::request::Mutation;
use crate::response;
use crate::schema::Name;
use facts::{Facts, Trial};
use model::Caller;
use serde_json::{Map, Value, json};
use sql::Param;

/// The names that the catalog is asked about.
#[derive(Debug, Default)]
pub struct Names {
    pub relations: Vec<Name>,
    pub functions: Vec<Name>,
}

impl Names {
    /// What a plan reaches, the root first.
    pub fn of(plan: &Rows) -> Self {
        let mut names = Names::default();
        names.add(&plan.root);
        names.functions.extend(plan.function().map(|function| function.name.clone()));
        names
    }

    fn add(&mut self, level: &Level) {
        if !self.relations.contains(&level.relation) {
            self.relations.push(level.relation.clone());
        }
        level.embeds.iter().for_each(|embed| self.add(embed));
    }
}

/// What is done with the root's rows, as grants and policies name it.
pub fn command(plan: &Rows) -> &'static str {
    match &plan.work {
        Work::Read { .. } | Work::Call { .. } => "select",
        Work::Write(write) => match write.mutation {
            Mutation::Create | Mutation::Replace => "insert",
            Mutation::Update => "update",
            Mutation::Delete => "delete",
        },
    }
}

/// What is known about the request beside facts and trial.
pub struct Subject<'a> {
    pub caller: &'a Caller,
    pub bound: &'a model::Bound,
    pub command: &'static str,
    pub statement: (&'a str, &'a [Param]),
    pub settings: &'a Settings,
}

/// The explanation, in names that clients know.
pub fn explanation(subject: &Subject<'_>, mut facts: Facts, trial: Trial) -> Value {
    let settings = subject.settings;
    if settings.hides_catalog() {
        hide(&mut facts, settings);
    }
    let role = &*subject.caller.role;
    let (verdict, reasons) = verdict::verdict(role, subject.command, &facts, &trial);
    let of_role = settings.role(role);
    let role_settings: Map<String, Value> = of_role
        .map_or(&[][..], |role| &role.settings)
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let (text, params) = subject.statement;
    let value = |param: &Param| param.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let explanation = json!({
        "verdict": verdict,
        "reasons": reasons,
        "role": facts.role,
        "role_settings": role_settings,
        "isolation": of_role.and_then(|role| role.isolation).map(crate::schema::Isolation::as_sql),
        "claims": serde_json::from_str::<Value>(&subject.caller.claims).unwrap_or_default(),
        "key_settings": subject.bound.to_stored(),
        "pre_request": settings.db_pre_request.as_ref().map(ToString::to_string),
        "command": subject.command,
        "relations": facts.relations,
        "functions": facts.functions,
        "statement": { "sql": text, "parameters": params.iter().map(value).collect::<Vec<_>>() },
        "plan": trial.plan,
        "rows": trial.rows,
        "error": trial.error,
    });
    shown(explanation, settings)
}

/// Takes away what concerns the platform and not the project.
fn hide(facts: &mut Facts, settings: &Settings) {
    let prefix = settings.hidden_relation_prefix.as_deref();
    facts.relations.retain(|relation| prefix.is_none_or(|prefix| !relation.name.starts_with(prefix)));
    facts.relations.iter_mut().for_each(|relation| relation.owner = None);
    facts.functions.iter_mut().for_each(|function| function.owner = None);
}

/// Every text with the names that clients know.
fn shown(value: Value, settings: &Settings) -> Value {
    match value {
        Value::String(text) => Value::String(response::shown_text(&text, settings)),
        Value::Array(items) => items.into_iter().map(|item| shown(item, settings)).collect(),
        Value::Object(map) => {
            let entry = |(key, value): (String, Value)| {
                (response::shown_text(&key, settings), shown(value, settings))
            };
            Value::Object(map.into_iter().map(entry).collect())
        }
        other => other,
    }
}
