//! Writes: the first part of a statement that changes rows.

use super::filter;
use crate::plan::{PayloadColumn, Returning, Write};
use crate::request::{Mutation, Resolution};
use sql::Fragment;
use std::sync::Arc;

/// The alias of the payload's rows.
const BODY: &str = "pgrst_body";

/// The data-modifying statement of a write.
pub fn write(f: &mut Fragment, write: &Write) {
    match write.mutation {
        Mutation::Create | Mutation::Replace => insert(f, write),
        Mutation::Update => update(f, write),
        Mutation::Delete => delete(f, write),
    }
}

fn insert(f: &mut Fragment, write: &Write) {
    f.push("insert into ").qualified(&write.relation.schema, &write.relation.name);
    if !write.columns.is_empty() {
        f.push("(").join(", ", &write.columns, |f, column| {
            f.quoted(&column.name);
        });
        f.push(")");
    }
    f.push(" select ");
    f.join(", ", &write.columns, |f, column| filter::qualified(f, BODY, &column.name));
    f.push(" from ");
    Payload { columns: &write.columns, write }.rows(f);
    let mut conditions = vec![];
    if write.counts_inserted() {
        conditions.push(None);
    }
    if write.mutation == Mutation::Replace {
        conditions.extend(write.conditions.iter().map(Some));
    }
    if !conditions.is_empty() {
        f.push(" where ").join(" and ", conditions, |f, condition| match condition {
            Some(tree) => filter::tree(f, BODY, tree),
            None => count_inserted(f, 1),
        });
    }
    on_conflict(f, write);
    returning(f, write);
}

fn on_conflict(f: &mut Fragment, write: &Write) {
    let Some(conflict) = write.conflict.as_ref().filter(|conflict| !conflict.columns.is_empty()) else {
        return;
    };
    f.push(" on conflict (").join(", ", &conflict.columns, |f, column| {
        f.quoted(column);
    });
    f.push(") do ");
    if conflict.resolution == Resolution::Ignore || write.columns.is_empty() {
        f.push("nothing");
        return;
    }
    f.push("update set ").join(", ", &write.columns, |f, column| {
        f.quoted(&column.name).push(" = excluded.").quoted(&column.name);
    });
    f.push(" where ");
    count_inserted(f, -1);
}

/// A condition that is always true and counts: every row that is to be inserted up, every row that turns out to
/// exist down. What remains are the rows inserted.
fn count_inserted(f: &mut Fragment, step: i64) {
    f.push("set_config('pgrst.inserted', (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + ");
    f.push(if step > 0 { "1" } else { "-1" });
    f.push(")::text, true) <> '");
    f.push(if step > 0 { "0'" } else { "-1'" });
}

fn update(f: &mut Fragment, write: &Write) {
    if write.columns.is_empty() {
        // Nothing to set: no rows, but with the names and types that the second part selects.
        f.push("select ");
        columns(f, write, "null");
        f.push(" from ").qualified(&write.relation.schema, &write.relation.name).push(" where false");
        return;
    }
    f.push("update ").qualified(&write.relation.schema, &write.relation.name).push(" set ");
    f.join(", ", &write.columns, |f, column| {
        f.quoted(&column.name).push(" = ");
        filter::qualified(f, BODY, &column.name);
    });
    f.push(" from ");
    Payload { columns: &write.columns, write }.rows(f);
    conditions(f, write);
    returning(f, write);
}

fn delete(f: &mut Fragment, write: &Write) {
    f.push("delete from ").qualified(&write.relation.schema, &write.relation.name);
    conditions(f, write);
    returning(f, write);
}

fn conditions(f: &mut Fragment, write: &Write) {
    if write.conditions.is_empty() {
        return;
    }
    f.push(" where ");
    f.join(" and ", &write.conditions, |f, tree| filter::tree(f, &write.relation.name, tree));
}

fn returning(f: &mut Fragment, write: &Write) {
    f.push(" returning ");
    columns(f, write, "1");
}

fn columns(f: &mut Fragment, write: &Write, nothing: &'static str) {
    let relation: &Arc<str> = &write.relation.name;
    match &write.returning {
        Returning::Nothing => {
            f.push(nothing);
        }
        Returning::All => filter::qualified(f, relation, "*"),
        Returning::Columns(names) => {
            f.join(", ", names, |f, name| filter::qualified(f, relation, name));
        }
    }
}

/// A JSON body as rows.
struct Payload<'a> {
    columns: &'a [PayloadColumn],
    write: &'a Write,
}

impl Payload<'_> {
    /// A FROM item under the alias [`BODY`].
    fn rows(&self, f: &mut Fragment) {
        let transforms = self.columns.iter().any(|column| column.transform.is_some());
        if self.columns.is_empty() {
            f.push("(select from ");
            self.empty_rows(f);
            f.push(") ").push(BODY);
        } else if self.write.defaults {
            self.body_with_defaults(f);
            f.push(", lateral ");
            self.parsed(f, |f| {
                f.push("pgrst_defaults.val");
            });
        } else if transforms {
            self.parsed(f, |f| self.body(f));
        } else {
            self.records(f, BODY, |f| self.body(f));
        }
    }

    fn body(&self, f: &mut Fragment) {
        f.bind(self.write.body.clone()).push("::json");
    }

    /// Rows without columns: `{}` is one, `[{},{}]` are two.
    fn empty_rows(&self, f: &mut Fragment) {
        if self.write.is_object {
            f.push("(values (1)) _");
        } else {
            f.push("json_array_elements(");
            self.body(f);
            f.push(") _");
        }
    }

    /// The records of some JSON, with the fields of domains parsed by their functions.
    fn parsed(&self, f: &mut Fragment, json: impl FnOnce(&mut Fragment)) {
        f.push("(select ").join(", ", self.columns, |f, column| match &column.transform {
            Some(function) => {
                f.catalog_text(function).push("(_.").quoted(&column.name).push(") as ").quoted(&column.name);
            }
            None => {
                f.push("_.").quoted(&column.name);
            }
        });
        f.push(" from ");
        self.records(f, "_", json);
        f.push(") ").push(BODY);
    }

    fn records(&self, f: &mut Fragment, alias: &'static str, json: impl FnOnce(&mut Fragment)) {
        f.push(match (self.write.defaults, self.write.is_object) {
            (false, false) => "json_to_recordset(",
            (false, true) => "json_to_record(",
            (true, false) => "jsonb_to_recordset(",
            (true, true) => "jsonb_to_record(",
        });
        json(f);
        f.push(") as ").push(alias).push("(").join(", ", self.columns, |f, column| {
            f.quoted(&column.name).push(" ").catalog_text(&column.type_name);
        });
        f.push(")");
    }

    /// The body laid over the columns' defaults, which are evaluated for each row.
    fn body_with_defaults(&self, f: &mut Fragment) {
        let defaults = |f: &mut Fragment| {
            let given =
                self.columns.iter().filter_map(|column| column.default.as_ref().map(|text| (column, text)));
            f.push("jsonb_build_object(").join(", ", given, |f, (column, text)| {
                f.literal(&column.name).push(", ").catalog_text(text);
            });
            f.push(")");
        };
        f.push("(select ");
        if self.write.is_object {
            defaults(f);
            f.push(" || ").bind(self.write.body.clone()).push("::jsonb as val");
        } else {
            f.push("jsonb_agg(");
            defaults(f);
            f.push(" || elem) as val from jsonb_array_elements(");
            f.bind(self.write.body.clone()).push("::jsonb) elem");
        }
        f.push(") as pgrst_defaults");
    }
}
