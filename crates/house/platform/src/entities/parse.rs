//! From JSON to a model: every problem is found in one go, each with the path of its field.

use super::default_value::default_sql;
use super::model::{BoundTo, Column, ColumnType, Entity, Model, OnDelete, Reference, Scope};
use super::names::{refuse_column, refuse_entity};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `entities[0].columns[2].type`.
    pub path: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

// Applying a model, and dropping an app, locks each of its tables and indexes in one transaction, and the server has
// one table of locks for all apps.
const ENTITIES_MAX: usize = 200;
const COLUMNS_MAX: usize = 100;
/// Columns with an index of their own, in the whole model.
const INDEXED_MAX: usize = 500;
/// More problems than these help nobody.
const PROBLEMS_MAX: usize = 100;
const DISPLAY_NAME_CHARS_MAX: usize = 200;

impl Model {
    /// Reads a model: an object with `entities`, or just their array.
    ///
    /// # Errors
    /// Every problem in it.
    pub fn parse(value: &Value) -> Result<Model, Vec<Problem>> {
        let mut reader = Reader::default();
        let entities = match value {
            Value::Array(_) => Some(value),
            Value::Object(object) => {
                reader.known_fields("", object, &["entities"]);
                object.get("entities")
            }
            _ => None,
        };
        let entities = match entities {
            Some(entities) => reader.entities(entities),
            None => {
                reader.problem("entities", "expected an array of entities");
                Vec::new()
            }
        };
        let model = Model { entities };
        let indexed = |column: &&Column| column.unique || column.references.is_some();
        if model.entities.iter().flat_map(|entity| &entity.columns).filter(indexed).count() > INDEXED_MAX {
            reader
                .problem("entities", format!("at most {INDEXED_MAX} columns that are unique or references"));
        }
        reader.check_whole(&model);
        if reader.problems.is_empty() { Ok(model) } else { Err(reader.problems) }
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { path: path.into(), message: message.into() });
        }
    }

    fn entities(&mut self, value: &Value) -> Vec<Entity> {
        let Some(items) = value.as_array() else {
            self.problem("entities", "expected an array");
            return Vec::new();
        };
        if items.len() > ENTITIES_MAX {
            self.problem("entities", format!("at most {ENTITIES_MAX} entities"));
            return Vec::new();
        }
        items.iter().enumerate().map(|(i, item)| self.entity(&format!("entities[{i}]"), item)).collect()
    }

    fn entity(&mut self, path: &str, value: &Value) -> Entity {
        let empty = Map::new();
        let object = value.as_object().unwrap_or_else(|| {
            self.problem(path, "expected an object");
            &empty
        });
        self.known_fields(
            path,
            object,
            &["name", "display_name", "scope", "columns", "bound_to", "renamed_from"],
        );
        let name = self.name(path, object, refuse_entity, value.is_object());
        let display_name = self.text(path, object, "display_name");
        if display_name
            .as_ref()
            .is_some_and(|d| d.chars().count() > DISPLAY_NAME_CHARS_MAX || d.contains('\0'))
        {
            self.problem(
                format!("{path}.display_name"),
                format!("at most {DISPLAY_NAME_CHARS_MAX} characters"),
            );
        }
        let scope = match object.get("scope") {
            None => Scope::UserScoped,
            Some(value) => self
                .choice(&format!("{path}.scope"), value, "scope", Scope::NAMES)
                .unwrap_or(Scope::UserScoped),
        };
        let renamed_from = self.text(path, object, "renamed_from");
        let columns = self.columns(&format!("{path}.columns"), object.get("columns"));
        let bound_to = object.get("bound_to").filter(|v| !v.is_null());
        let bound_to = bound_to.and_then(|value| self.bound_to(&format!("{path}.bound_to"), value, &columns));
        if scope == Scope::KeyScoped && !object.contains_key("bound_to") {
            self.problem(format!("{path}.bound_to"), "is missing: the scope key_scoped needs it");
        }
        Entity { name, display_name, scope, columns, bound_to, renamed_from, owned: scope.has_owner() }
    }

    /// `{"column": …, "setting": …}`.
    fn bound_to(&mut self, path: &str, value: &Value, columns: &[Column]) -> Option<BoundTo> {
        let Some(object) = value.as_object() else {
            self.problem(path, "expected an object");
            return None;
        };
        self.known_fields(path, object, &["column", "setting"]);
        let (column, setting) = (self.text(path, object, "column"), self.text(path, object, "setting"));
        let (Some(column), Some(setting)) = (column, setting) else {
            self.problem(path, "expected a column and a setting");
            return None;
        };
        match columns.iter().find(|known| known.name == column) {
            None => self.problem(format!("{path}.column"), format!("there is no column \"{column}\"")),
            Some(known) if !known.kind.may_be_a_setting() => {
                self.problem(format!("{path}.column"), "must be of type text, uuid or integer");
            }
            Some(_) => {}
        }
        if let Err(error) = ::model::check_setting_name(&setting) {
            self.problem(format!("{path}.setting"), error.to_string());
        }
        Some(BoundTo { column, setting })
    }

    fn columns(&mut self, path: &str, value: Option<&Value>) -> Vec<Column> {
        let items = match value {
            None => return Vec::new(),
            Some(Value::Array(items)) if items.len() <= COLUMNS_MAX => items,
            Some(Value::Array(_)) => {
                self.problem(path, format!("at most {COLUMNS_MAX} columns"));
                return Vec::new();
            }
            Some(_) => {
                self.problem(path, "expected an array");
                return Vec::new();
            }
        };
        items.iter().enumerate().map(|(i, item)| self.column(&format!("{path}[{i}]"), item)).collect()
    }

    fn column(&mut self, path: &str, value: &Value) -> Column {
        let empty = Map::new();
        let object = value.as_object().unwrap_or_else(|| {
            self.problem(path, "expected an object");
            &empty
        });
        let fields = ["name", "type", "required", "unique", "default", "references", "renamed_from"];
        self.known_fields(path, object, &fields);
        let name = self.name(path, object, refuse_column, value.is_object());
        let kind = match object.get("type") {
            Some(value) => self.choice(&format!("{path}.type"), value, "type", ColumnType::NAMES),
            None if value.is_object() => {
                self.problem(format!("{path}.type"), "is missing");
                None
            }
            None => None,
        };
        let column = Column {
            name,
            kind: kind.unwrap_or(ColumnType::Text),
            required: self.flag(path, object, "required"),
            unique: self.flag(path, object, "unique"),
            default: object.get("default").filter(|v| !v.is_null()).cloned(),
            references: None,
            renamed_from: self.text(path, object, "renamed_from"),
        };
        if let (Some(kind), Some(value)) = (kind, &column.default)
            && let Err(expected) = default_sql(kind, value)
        {
            self.problem(
                format!("{path}.default"),
                format!("is not a default of this type: expected {expected}"),
            );
        }
        if column.unique && column.kind == ColumnType::Json {
            self.problem(format!("{path}.unique"), "a column of type json cannot be unique");
        }
        let references = object.get("references").filter(|v| !v.is_null());
        let references =
            references.and_then(|value| self.reference(&format!("{path}.references"), value, &column));
        Column { references, ..column }
    }

    /// The name of an entity, or `{"entity": …, "on_delete": …}`.
    fn reference(&mut self, path: &str, value: &Value, column: &Column) -> Option<Reference> {
        if column.kind != ColumnType::Uuid {
            self.problem(path, "a column that references an entity has the type uuid");
        }
        let usual = if column.required { OnDelete::Cascade } else { OnDelete::SetNull };
        match value {
            Value::String(entity) => Some(Reference { entity: entity.clone(), on_delete: usual }),
            Value::Object(object) => {
                self.known_fields(path, object, &["entity", "on_delete"]);
                let Some(entity) = object.get("entity").and_then(Value::as_str) else {
                    self.problem(format!("{path}.entity"), "expected the name of an entity");
                    return None;
                };
                let rule = object.get("on_delete").map_or(Some(usual), |value| {
                    self.choice(&format!("{path}.on_delete"), value, "rule", OnDelete::NAMES)
                });
                if rule == Some(OnDelete::SetNull) && column.required {
                    self.problem(format!("{path}.on_delete"), "a required column cannot be set to null");
                }
                Some(Reference { entity: entity.to_owned(), on_delete: rule.unwrap_or(usual) })
            }
            _ => {
                self.problem(path, "expected the name of an entity");
                None
            }
        }
    }

    /// What can only be seen with all entities at hand: duplicates and references.
    fn check_whole(&mut self, model: &Model) {
        let mut seen = HashSet::new();
        let mut origins = HashMap::new();
        for (i, entity) in model.entities.iter().enumerate() {
            let path = format!("entities[{i}]");
            if !entity.name.is_empty() && !seen.insert(entity.name.as_str()) {
                self.problem(format!("{path}.name"), format!("there is another entity \"{}\"", entity.name));
            }
            if let Some(from) = &entity.renamed_from
                && let Some(other) = origins.insert(from.as_str(), &entity.name)
            {
                self.problem(format!("{path}.renamed_from"), format!("\"{other}\" is renamed from it, too"));
            }
            self.check_columns(&path, entity);
        }
        for (i, entity) in model.entities.iter().enumerate() {
            for (j, column) in entity.columns.iter().enumerate() {
                let Some(reference) = &column.references else { continue };
                if !seen.contains(reference.entity.as_str()) {
                    let path = format!("entities[{i}].columns[{j}].references");
                    self.problem(path, format!("there is no entity \"{}\" in this model", reference.entity));
                }
            }
        }
    }

    fn check_columns(&mut self, path: &str, entity: &Entity) {
        let mut seen = HashSet::new();
        let mut origins = HashSet::new();
        for (j, column) in entity.columns.iter().enumerate() {
            if !column.name.is_empty() && !seen.insert(column.name.as_str()) {
                let message = format!("there is another column \"{}\"", column.name);
                self.problem(format!("{path}.columns[{j}].name"), message);
            }
            if let Some(from) = &column.renamed_from
                && !origins.insert(from.as_str())
            {
                self.problem(
                    format!("{path}.columns[{j}].renamed_from"),
                    "another column is renamed from it, too",
                );
            }
        }
    }

    fn known_fields(&mut self, path: &str, object: &Map<String, Value>, known: &[&str]) {
        for field in object.keys().filter(|f| !known.contains(&f.as_str())) {
            let shown: String = field.chars().take(64).collect();
            let path = if path.is_empty() { shown } else { format!("{path}.{shown}") };
            self.problem(path, format!("unknown field; there are {}", known.join(", ")));
        }
    }

    fn name(
        &mut self,
        path: &str,
        object: &Map<String, Value>,
        refuse: fn(&str) -> Option<String>,
        report_missing: bool,
    ) -> String {
        let path = format!("{path}.name");
        match object.get("name") {
            Some(Value::String(name)) => {
                if let Some(reason) = refuse(name) {
                    self.problem(path, reason);
                }
                name.clone()
            }
            Some(_) => {
                self.problem(path, "expected a text");
                String::new()
            }
            None => {
                if report_missing {
                    self.problem(path, "is missing");
                }
                String::new()
            }
        }
    }

    fn text(&mut self, path: &str, object: &Map<String, Value>, field: &str) -> Option<String> {
        match object.get(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.problem(format!("{path}.{field}"), "expected a text");
                None
            }
        }
    }

    fn flag(&mut self, path: &str, object: &Map<String, Value>, field: &str) -> bool {
        match object.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.problem(format!("{path}.{field}"), "expected true or false");
                false
            }
        }
    }

    fn choice<T: Copy>(&mut self, path: &str, value: &Value, what: &str, known: &[(&str, T)]) -> Option<T> {
        let found = value.as_str().and_then(|text| known.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let shown: String = value.to_string().chars().take(64).collect();
            self.problem(path, format!("unknown {what} {shown}; there are {}", names.join(", ")));
        }
        found.map(|(_, choice)| *choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(value: &Value) -> Vec<String> {
        Model::parse(value).err().unwrap_or_default().into_iter().map(|p| p.path).collect()
    }

    #[test]
    fn a_model_is_an_object_or_an_array() {
        let entity = json!({ "name": "todos", "columns": [{ "name": "text", "type": "text" }] });
        assert_eq!(Model::parse(&json!({ "entities": [entity] })), Model::parse(&json!([entity])));
        assert_eq!(paths(&json!("x")), ["entities"]);
        assert_eq!(paths(&json!({ "entities": 1 })), ["entities"]);
    }

    #[test]
    fn every_problem_has_the_path_of_its_field() {
        let bad = json!({ "entities": [
            { "name": "Todos", "scope": "mine", "columns": [
                { "name": "a", "type": "varchar" },
                { "name": "a", "type": "text" },
                { "name": "id", "type": "uuid" },
                { "name": "n", "type": "integer", "default": "many" },
                { "name": "r", "type": "uuid", "references": "nowhere" },
                { "name": "s", "type": "text", "references": "Todos" },
                { "name": "t", "type": "text", "required": "yes", "lenght": 3 },
                { "name": "x".repeat(64), "type": "text" },
                7
            ] },
            { "columns": {} }
        ], "version": 1 });
        let wanted = [
            "version",
            "entities[0].name",
            "entities[0].scope",
            "entities[0].columns[0].type",
            "entities[0].columns[2].name",
            "entities[0].columns[3].default",
            "entities[0].columns[5].references",
            "entities[0].columns[6].lenght",
            "entities[0].columns[6].required",
            "entities[0].columns[7].name",
            "entities[0].columns[8]",
            "entities[1].name",
            "entities[1].columns",
            "entities[0].columns[1].name",
            "entities[0].columns[4].references",
        ];
        assert_eq!(paths(&bad), wanted);
    }

    #[test]
    fn references_have_a_rule_that_fits() {
        let model = |references: Value, required: bool| {
            json!([{ "name": "lists" }, { "name": "todos", "columns": [
                { "name": "list_id", "type": "uuid", "required": required, "references": references }] }])
        };
        let rule = |value| {
            Model::parse(&value).unwrap().entities[1].columns[0].references.clone().unwrap().on_delete
        };
        assert_eq!(rule(model(json!("lists"), true)), OnDelete::Cascade);
        assert_eq!(rule(model(json!("lists"), false)), OnDelete::SetNull);
        assert_eq!(
            rule(model(json!({ "entity": "lists", "on_delete": "restrict" }), true)),
            OnDelete::Restrict
        );
        let set_null = json!({ "entity": "lists", "on_delete": "set_null" });
        assert_eq!(paths(&model(set_null, true)), ["entities[1].columns[0].references.on_delete"]);
    }
}
