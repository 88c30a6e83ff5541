//! From the stored model to the wanted one: which statements, in which order, and what would be lost.
//!
//! Pure. The order is: references and keys that go, tables and columns that go, renames, new tables, changed and
//! new columns, keys that come, policies; last the references that come, which run as the superuser because the check of
//! stored rows must see all of them.

use super::ddl::{Tables, default_of, foreign_key, index, primary_key, unique_key};
use super::model::{Column, Entity, Model};
use super::parse::Problem;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// A change that loses data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Destructive {
    pub entity: String,
    pub column: Option<String>,
    pub change: String,
}

impl fmt::Display for Destructive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column}: {}", self.entity, self.change),
            None => write!(f, "{}: {}", self.entity, self.change),
        }
    }
}

/// What to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Run as the owner of the app's tables.
    pub(super) as_owner: Vec<String>,
    /// Run afterwards as the superuser.
    pub(super) as_admin: Vec<String>,
    pub(super) destructive: Vec<Destructive>,
    /// The model that holds afterwards.
    pub(super) model: Model,
}

impl Plan {
    pub(super) fn statements(&self) -> impl Iterator<Item = &String> {
        self.as_owner.iter().chain(&self.as_admin)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_owner.is_empty() && self.as_admin.is_empty()
    }
}

/// Compares.
///
/// # Errors
/// Renames that contradict what is stored.
pub(super) fn diff(tables: Tables<'_>, stored: &Model, wanted: &Model) -> Result<Plan, Vec<Problem>> {
    let matched = Matched::find(stored, wanted)?;
    let mut stages = Stages::default();
    let mut model = wanted.clone();
    for (new, old) in model.entities.iter_mut().zip(&matched.entities) {
        new.owned |= old.as_ref().is_some_and(|old| old.entity.owned);
        // What something was called is not part of what it is.
        new.renamed_from = None;
        new.columns.iter_mut().for_each(|column| column.renamed_from = None);
    }
    let dropped = matched.dropped(stored);
    for entity in &dropped {
        stages.destructive(&entity.name, None, "the table would be dropped with all its rows");
    }
    if !dropped.is_empty() {
        let names: Vec<&str> = dropped.iter().map(|entity| entity.name.as_str()).collect();
        stages.at(Stage::Drop).push(tables.drop_tables(&names));
    }
    for (new, old) in model.entities.iter().zip(&matched.entities) {
        match old {
            None => create(&mut stages, tables, new),
            Some(old) => {
                Change { tables, renames: &matched.renames, old: old.entity, new }.plan(&mut stages, old)
            }
        }
    }
    Ok(stages.into_plan(model))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Loosen,
    Drop,
    Rename,
    Create,
    Alter,
    Key,
    Policy,
    Reference,
}

#[derive(Default)]
struct Stages {
    statements: BTreeMap<Stage, Vec<String>>,
    destructive: Vec<Destructive>,
}

impl Stages {
    fn at(&mut self, stage: Stage) -> &mut Vec<String> {
        self.statements.entry(stage).or_default()
    }

    fn destructive(&mut self, entity: &str, column: Option<&str>, change: &str) {
        let column = column.map(str::to_owned);
        self.destructive.push(Destructive { entity: entity.to_owned(), column, change: change.to_owned() });
    }

    fn into_plan(mut self, model: Model) -> Plan {
        let as_admin = self.statements.remove(&Stage::Reference).unwrap_or_default();
        let as_owner = self.statements.into_values().flatten().collect();
        Plan { as_owner, as_admin, destructive: self.destructive, model }
    }
}

fn create(stages: &mut Stages, tables: Tables<'_>, entity: &Entity) {
    stages.at(Stage::Create).extend(tables.create(entity));
    stages.at(Stage::Policy).push(tables.create_app_policy(&entity.name));
    stages.at(Stage::Policy).extend(tables.create_policies(entity));
    stages.at(Stage::Policy).extend(tables.create_bound_policy(entity));
    if entity.owned {
        stages.at(Stage::Reference).push(tables.add_owner_reference(&entity.name));
    }
    for column in &entity.columns {
        add_reference(stages, tables, &entity.name, column);
    }
}

fn add_reference(stages: &mut Stages, tables: Tables<'_>, table: &str, column: &Column) {
    if let Some(reference) = &column.references {
        stages.at(Stage::Key).push(tables.create_index(table, &column.name, ""));
        stages.at(Stage::Reference).push(tables.add_reference(table, &column.name, reference));
    }
}

/// A stored entity and which of its columns the wanted one's are.
struct Origin<'a> {
    entity: &'a Entity,
    /// For each wanted column the stored one.
    columns: Vec<Option<&'a Column>>,
}

struct Matched<'a> {
    /// For each wanted entity the stored one.
    entities: Vec<Option<Origin<'a>>>,
    /// Old names to new ones.
    renames: HashMap<&'a str, &'a str>,
}

impl<'a> Matched<'a> {
    fn find(stored: &'a Model, wanted: &'a Model) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let name = |e: &'a Entity| e.name.as_str();
        let pairs = pair(&stored.entities, &wanted.entities, name, |e| e.renamed_from.as_deref());
        let mut found = Matched { entities: Vec::new(), renames: HashMap::new() };
        for (i, (new, old)) in wanted.entities.iter().zip(pairs).enumerate() {
            let path = format!("entities[{i}]");
            let old = old.unwrap_or_else(|reason| {
                problems.push(Problem { path: format!("{path}.renamed_from"), message: reason });
                None
            });
            let Some(old) = old else {
                found.entities.push(None);
                continue;
            };
            found.renames.insert(&old.name, &new.name);
            let name = |c: &'a Column| c.name.as_str();
            let columns = pair(&old.columns, &new.columns, name, |c| c.renamed_from.as_deref());
            let columns = columns.into_iter().enumerate().map(|(j, column)| {
                column.unwrap_or_else(|reason| {
                    let path = format!("{path}.columns[{j}].renamed_from");
                    problems.push(Problem { path, message: reason });
                    None
                })
            });
            let columns = columns.collect();
            found.entities.push(Some(Origin { entity: old, columns }));
        }
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    fn dropped(&self, stored: &'a Model) -> Vec<&'a Entity> {
        stored.entities.iter().filter(|e| !self.renames.contains_key(e.name.as_str())).collect()
    }
}

/// For each wanted item the stored one: of the same name, else the one that it says it was renamed from. A rename that has
/// happened already is no contradiction, so that the same model can be applied again.
fn pair<'a, T>(
    stored: &'a [T],
    wanted: &'a [T],
    name: impl Fn(&'a T) -> &'a str,
    renamed_from: impl Fn(&'a T) -> Option<&'a str>,
) -> Vec<Result<Option<&'a T>, String>> {
    let by_name: HashMap<&str, &T> = stored.iter().map(|item| (name(item), item)).collect();
    let kept: HashSet<&str> = wanted.iter().map(&name).collect();
    let find = |item: &'a T| {
        let same = by_name.get(name(item)).copied();
        let Some(from) = renamed_from(item).filter(|from| *from != name(item)) else { return Ok(same) };
        match (same, by_name.get(from).copied()) {
            (None, Some(_)) if kept.contains(from) => {
                Err(format!("\"{from}\" is still in the model under its own name"))
            }
            (None, origin) => Ok(origin),
            (Some(_), Some(_)) if !kept.contains(from) => {
                Err(format!("\"{from}\" and \"{}\" both exist; one cannot become the other", name(item)))
            }
            (same, _) => Ok(same),
        }
    };
    wanted.iter().map(find).collect()
}

/// The change of one table.
struct Change<'a> {
    tables: Tables<'a>,
    renames: &'a HashMap<&'a str, &'a str>,
    old: &'a Entity,
    new: &'a Entity,
}

impl Change<'_> {
    fn plan(&self, stages: &mut Stages, origin: &Origin<'_>) {
        let table = self.new.name.as_str();
        self.drop_columns(stages, origin);
        if self.old.name != self.new.name {
            stages.at(Stage::Rename).push(self.tables.rename_table(&self.old.name, table));
            self.rename_standard(stages);
        }
        for (new, old) in self.new.columns.iter().zip(&origin.columns) {
            match old {
                Some(old) => self.change_column(stages, old, new),
                None => self.add_column(stages, new),
            }
        }
        self.change_owner(stages);
        self.change_binding(stages);
        if self.old.display_name != self.new.display_name {
            stages.at(Stage::Alter).push(self.tables.comment(self.new));
        }
        if self.old.scope != self.new.scope || self.old.name != self.new.name {
            stages.at(Stage::Policy).extend(self.tables.drop_policies(self.old, table));
            stages.at(Stage::Policy).extend(self.tables.create_policies(self.new));
        }
    }

    fn drop_columns(&self, stages: &mut Stages, origin: &Origin<'_>) {
        let kept: HashSet<&str> = origin.columns.iter().flatten().map(|c| c.name.as_str()).collect();
        for column in self.old.columns.iter().filter(|c| !kept.contains(c.name.as_str())) {
            stages.destructive(
                &self.old.name,
                Some(&column.name),
                "the column would be dropped with its values",
            );
            if column.references.is_some() {
                let key = foreign_key(&self.old.name, &column.name);
                stages.at(Stage::Loosen).push(self.tables.drop_constraint(&self.old.name, &key));
            }
            stages.at(Stage::Drop).push(self.tables.drop_column(&self.old.name, &column.name));
        }
    }

    /// The objects that have the table's name in theirs.
    fn rename_standard(&self, stages: &mut Stages) {
        let (from, to) = (self.old.name.as_str(), self.new.name.as_str());
        let rename = stages.at(Stage::Rename);
        rename.push(self.tables.rename_constraint(to, &primary_key(from), &primary_key(to)));
        rename.push(self.tables.rename_index(&index(from, "created_at"), &index(to, "created_at")));
        if self.old.owned {
            rename.push(self.tables.rename_index(&index(from, "user_id"), &index(to, "user_id")));
            let (old, new) = (foreign_key(from, "user_id"), foreign_key(to, "user_id"));
            rename.push(self.tables.rename_constraint(to, &old, &new));
        }
    }

    fn add_column(&self, stages: &mut Stages, column: &Column) {
        let table = self.new.name.as_str();
        stages.at(Stage::Alter).push(self.tables.add_column(table, column));
        if column.unique {
            stages.at(Stage::Key).push(self.tables.add_unique(table, &column.name));
        }
        add_reference(stages, self.tables, table, column);
    }

    fn change_column(&self, stages: &mut Stages, old: &Column, new: &Column) {
        let table = self.new.name.as_str();
        self.change_keys(stages, old, new);
        if old.name != new.name {
            stages.at(Stage::Rename).push(self.tables.rename_column(table, &old.name, &new.name));
        }
        let retyped = old.kind.sql() != new.kind.sql();
        if retyped {
            if !old.kind.widens_to(new.kind) {
                let change =
                    format!("values of type {} would have to become {}", old.kind.sql(), new.kind.sql());
                stages.destructive(&self.old.name, Some(&old.name), &change);
            }
            stages.at(Stage::Alter).push(self.tables.change_type(table, new));
        }
        if default_of(old) != default_of(new) || (retyped && new.default.is_some()) {
            stages.at(Stage::Alter).push(self.tables.set_default(table, new));
        }
        if old.required != new.required {
            stages.at(Stage::Alter).push(self.tables.set_required(table, &new.name, new.required));
        }
    }

    /// Unique keys and references: dropped under their old names, added under the new, or renamed.
    fn change_keys(&self, stages: &mut Stages, old: &Column, new: &Column) {
        let (old_table, table) = (self.old.name.as_str(), self.new.name.as_str());
        let renamed = old_table != table || old.name != new.name;
        let (from, to) = (unique_key(old_table, &old.name), unique_key(table, &new.name));
        match (old.unique, new.unique) {
            (true, true) if renamed => {
                stages.at(Stage::Rename).push(self.tables.rename_constraint(table, &from, &to));
            }
            (true, false) => stages.at(Stage::Loosen).push(self.tables.drop_constraint(old_table, &from)),
            (false, true) => stages.at(Stage::Key).push(self.tables.add_unique(table, &new.name)),
            _ => {}
        }
        let same = match (&old.references, &new.references) {
            (Some(a), Some(b)) => {
                a.on_delete == b.on_delete && self.renames.get(a.entity.as_str()) == Some(&b.entity.as_str())
            }
            (None, None) => return,
            _ => false,
        };
        let (from, to) = (foreign_key(old_table, &old.name), foreign_key(table, &new.name));
        let (from_index, to_index) = (index(old_table, &old.name), index(table, &new.name));
        if same {
            if renamed {
                stages.at(Stage::Rename).push(self.tables.rename_constraint(table, &from, &to));
                stages.at(Stage::Rename).push(self.tables.rename_index(&from_index, &to_index));
            }
            return;
        }
        if old.references.is_some() {
            stages.at(Stage::Loosen).push(self.tables.drop_constraint(old_table, &from));
            stages.at(Stage::Loosen).push(self.tables.drop_index(&from_index));
        }
        add_reference(stages, self.tables, table, new);
    }

    /// The policy stands in the way of changes to its column, so it goes first and comes last.
    fn change_binding(&self, stages: &mut Stages) {
        let kind = |entity: &Entity| {
            let bound = entity.bound_to.as_ref()?;
            Some((
                bound.clone(),
                entity.columns.iter().find(|column| column.name == bound.column)?.kind.sql(),
            ))
        };
        if kind(self.old) == kind(self.new) {
            return;
        }
        if self.old.bound_to.is_some() {
            stages.at(Stage::Loosen).push(self.tables.drop_bound_policy(&self.old.name));
        }
        stages.at(Stage::Policy).extend(self.tables.create_bound_policy(self.new));
    }

    /// The owner's column comes with the first scope that needs it and is then only loosened.
    fn change_owner(&self, stages: &mut Stages) {
        let table = self.new.name.as_str();
        match (self.old.owned, self.old.scope.has_owner(), self.new.scope.has_owner()) {
            (false, _, true) => {
                stages.at(Stage::Alter).push(self.tables.add_owner(table));
                stages.at(Stage::Key).push(self.tables.create_index(table, "user_id", ""));
                stages.at(Stage::Reference).push(self.tables.add_owner_reference(table));
            }
            (true, true, false) => {
                stages.at(Stage::Alter).push(self.tables.set_required(table, "user_id", false))
            }
            (true, false, true) => {
                stages.at(Stage::Alter).push(self.tables.set_required(table, "user_id", true))
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
