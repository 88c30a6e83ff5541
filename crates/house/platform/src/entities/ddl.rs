//! The statements by which tables come to be and change. One function a statement; names go in as identifiers,
//! everything else is text of this program or a checked default.

use super::default_value::default_sql;
use super::model::{Column, Entity, Reference};
use super::names::derived;
use sql::{Fragment, Ident, QualifiedName};

/// The tables of one app.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) schema: &'a str,
    pub(super) app: u32,
}

pub(super) fn primary_key(table: &str) -> String {
    derived(&[table, "pkey"])
}

pub(super) fn unique_key(table: &str, column: &str) -> String {
    derived(&[table, column, "key"])
}

pub(super) fn foreign_key(table: &str, column: &str) -> String {
    derived(&[table, column, "fkey"])
}

pub(super) fn index(table: &str, column: &str) -> String {
    derived(&["idx", table, column])
}

pub(super) fn ident(name: impl Into<String>) -> Ident {
    Ident::new(name)
}

pub(super) fn finish(fragment: &mut Fragment) -> String {
    std::mem::take(fragment).into_parts().0
}

impl Tables<'_> {
    pub(super) fn name(&self, table: &str) -> QualifiedName {
        QualifiedName::new(self.schema, table)
    }

    pub(super) fn alter(&self, table: &str) -> Fragment {
        let mut f = Fragment::new();
        f.push("alter table ").name(&self.name(table)).push(" ");
        f
    }

    /// The table with its columns and its primary key, row-level security, rights and the trigger.
    pub(super) fn create(&self, entity: &Entity) -> Vec<String> {
        let name = self.name(&entity.name);
        let mut table = Fragment::new();
        table.push("create table ").name(&name).push(" (\n  id uuid not null default gen_random_uuid()");
        if entity.owned {
            table.push(",\n  user_id uuid").push(if entity.scope.has_owner() { " not null" } else { "" });
            table.push(" default auth.uid()");
        }
        for column in &entity.columns {
            table.push(",\n  ");
            define(&mut table, column);
        }
        table.push(",\n  created_at timestamptz not null default now()");
        table.push(",\n  updated_at timestamptz not null default now()");
        table.push(",\n  constraint ").ident(&ident(primary_key(&entity.name))).push(" primary key (id)\n)");

        let mut rights = Fragment::new();
        rights.push("grant select, insert, update, delete on ").name(&name);
        rights.push(" to anon, authenticated, service_role");
        let mut trigger = Fragment::new();
        trigger.push("create trigger rowhouse_touch before update on ").name(&name);
        trigger.push(" for each row execute function rowhouse.touch_updated_at()");
        let mut statements = vec![
            finish(&mut table),
            finish(self.alter(&entity.name).push("enable row level security, force row level security")),
            finish(&mut rights),
            finish(&mut trigger),
            self.create_index(&entity.name, "created_at", " desc"),
        ];
        if entity.owned {
            statements.push(self.create_index(&entity.name, "user_id", ""));
        }
        if entity.display_name.is_some() {
            statements.push(self.comment(entity));
        }
        for column in entity.columns.iter().filter(|c| c.unique) {
            statements.push(self.add_unique(&entity.name, &column.name));
        }
        statements
    }

    pub(super) fn drop_tables(&self, tables: &[&str]) -> String {
        let mut f = Fragment::new();
        f.push("drop table ").join(", ", tables, |f, table| {
            f.name(&self.name(table));
        });
        finish(&mut f)
    }

    pub(super) fn comment(&self, entity: &Entity) -> String {
        let mut f = Fragment::new();
        f.push("comment on table ").name(&self.name(&entity.name)).push(" is ");
        match &entity.display_name {
            Some(text) => f.literal(text),
            None => f.push("null"),
        };
        finish(&mut f)
    }

    pub(super) fn rename_table(&self, from: &str, to: &str) -> String {
        finish(self.alter(from).push("rename to ").ident(&ident(to)))
    }

    pub(super) fn rename_column(&self, table: &str, from: &str, to: &str) -> String {
        finish(self.alter(table).push("rename column ").ident(&ident(from)).push(" to ").ident(&ident(to)))
    }

    pub(super) fn rename_constraint(&self, table: &str, from: &str, to: &str) -> String {
        finish(
            self.alter(table).push("rename constraint ").ident(&ident(from)).push(" to ").ident(&ident(to)),
        )
    }

    pub(super) fn rename_index(&self, from: &str, to: &str) -> String {
        let mut f = Fragment::new();
        f.push("alter index ").name(&self.name(from)).push(" rename to ").ident(&ident(to));
        finish(&mut f)
    }

    pub(super) fn add_column(&self, table: &str, column: &Column) -> String {
        let mut f = self.alter(table);
        f.push("add column ");
        define(&mut f, column);
        finish(&mut f)
    }

    /// The owner's column, for a table that was made without.
    pub(super) fn add_owner(&self, table: &str) -> String {
        finish(self.alter(table).push("add column user_id uuid not null default auth.uid()"))
    }

    pub(super) fn drop_column(&self, table: &str, column: &str) -> String {
        finish(self.alter(table).push("drop column ").ident(&ident(column)))
    }

    pub(super) fn set_required(&self, table: &str, column: &str, required: bool) -> String {
        let change = if required { " set not null" } else { " drop not null" };
        finish(self.alter(table).push("alter column ").ident(&ident(column)).push(change))
    }

    pub(super) fn set_default(&self, table: &str, column: &Column) -> String {
        let mut f = self.alter(table);
        f.push("alter column ").ident(&ident(&*column.name));
        match default_of(column) {
            Some(default) => f.push(" set default ").catalog_text(&default),
            None => f.push(" drop default"),
        };
        finish(&mut f)
    }

    /// Values go through text, so that what does not fit the new type is an error and never rounded.
    pub(super) fn change_type(&self, table: &str, column: &Column) -> String {
        let name = ident(&*column.name);
        let mut f = self.alter(table);
        f.push("alter column ").ident(&name).push(" drop default, alter column ").ident(&name);
        f.push(" type ").push(column.kind.sql()).push(" using ").ident(&name);
        f.push("::text::").push(column.kind.sql());
        finish(&mut f)
    }

    pub(super) fn add_unique(&self, table: &str, column: &str) -> String {
        let mut f = self.alter(table);
        f.push("add constraint ").ident(&ident(unique_key(table, column)));
        finish(f.push(" unique (").ident(&ident(column)).push(")"))
    }

    pub(super) fn drop_constraint(&self, table: &str, constraint: &str) -> String {
        finish(self.alter(table).push("drop constraint ").ident(&ident(constraint)))
    }

    pub(super) fn add_reference(&self, table: &str, column: &str, reference: &Reference) -> String {
        let mut f = self.alter(table);
        f.push("add constraint ").ident(&ident(foreign_key(table, column)));
        f.push(" foreign key (")
            .ident(&ident(column))
            .push(") references ")
            .name(&self.name(&reference.entity));
        finish(f.push(" (id) on delete ").push(reference.on_delete.sql()))
    }

    /// The owner of a row is a user of this app: the app's own table of user ids says so.
    pub(super) fn add_owner_reference(&self, table: &str) -> String {
        let mut f = self.alter(table);
        f.push("add constraint ").ident(&ident(foreign_key(table, "user_id")));
        f.push(" foreign key (user_id) references ").name(&self.name("rowhouse_users"));
        finish(f.push(" (id) on delete cascade"))
    }

    pub(super) fn create_index(&self, table: &str, column: &str, direction: &'static str) -> String {
        let mut f = Fragment::new();
        f.push("create index ").ident(&ident(index(table, column))).push(" on ").name(&self.name(table));
        finish(f.push(" (").ident(&ident(column)).push(direction).push(")"))
    }

    pub(super) fn drop_index(&self, index: &str) -> String {
        let mut f = Fragment::new();
        finish(f.push("drop index ").name(&self.name(index)))
    }
}

fn define(f: &mut Fragment, column: &Column) {
    f.ident(&ident(&*column.name)).push(" ").push(column.kind.sql());
    if column.required {
        f.push(" not null");
    }
    if let Some(default) = default_of(column) {
        f.push(" default ").catalog_text(&default);
    }
}

/// The SQL of a column's default. It was checked when the model was read.
pub(super) fn default_of(column: &Column) -> Option<String> {
    column.default.as_ref().and_then(|value| default_sql(column.kind, value).ok())
}
