//! Row-level security of an entity: who may do what, by its scope, and that nobody leaves their app.
//!
//! Every policy has its function calls in a sub-select, which PostgreSQL evaluates once a statement and not once
//! a row.

use super::ddl::{Tables, finish, ident};
use super::default_value::setting_sql;
use super::model::{Entity, Scope};
use sql::Fragment;

const OWN: &str = "(select auth.uid()) = user_id";
const ALL: &str = "true";

/// A permissive policy: its name, command, roles and conditions.
struct Policy {
    name: String,
    command: &'static str,
    roles: &'static str,
    using: Option<&'static str>,
    check: Option<&'static str>,
}

/// The policies of an entity, the restrictive one apart.
fn of_scope(entity: &Entity) -> Vec<Policy> {
    let name = &entity.name;
    let (word, condition) = match entity.scope {
        Scope::UserScoped | Scope::PublicRead => ("own ", OWN),
        Scope::Shared | Scope::KeyScoped => ("", ALL),
    };
    let everybody = "anon, authenticated";
    let (readers, view, readable) = match entity.scope {
        Scope::UserScoped => ("authenticated", format!("view own {name}"), OWN),
        Scope::Shared => ("authenticated", format!("view {name}"), ALL),
        Scope::PublicRead | Scope::KeyScoped => (everybody, format!("view {name}"), ALL),
    };
    let write = |command: &'static str, using, check| Policy {
        name: format!("{command} {word}{name}"),
        command,
        roles: if entity.scope == Scope::KeyScoped { everybody } else { "authenticated" },
        using,
        check,
    };
    vec![
        Policy { name: view, command: "select", roles: readers, using: Some(readable), check: None },
        write("insert", None, Some(condition)),
        write("update", Some(condition), Some(condition)),
        write("delete", Some(condition), None),
        Policy {
            name: format!("serve {name}"),
            command: "all",
            roles: "service_role",
            using: Some(ALL),
            check: Some(ALL),
        },
    ]
}

impl Tables<'_> {
    /// The policies that depend on name and scope.
    pub(super) fn create_policies(&self, entity: &Entity) -> Vec<String> {
        of_scope(entity).iter().map(|policy| self.create_policy(entity, policy)).collect()
    }

    /// Drops them; the table may have another name by now.
    pub(super) fn drop_policies(&self, old: &Entity, table: &str) -> Vec<String> {
        let drop = |policy: &Policy| {
            let mut f = Fragment::new();
            finish(f.push("drop policy ").ident(&ident(&*policy.name)).push(" on ").name(&self.name(table)))
        };
        of_scope(old).iter().map(drop).collect()
    }

    fn create_policy(&self, entity: &Entity, policy: &Policy) -> String {
        let mut f = Fragment::new();
        f.push("create policy ").ident(&ident(&*policy.name)).push(" on ").name(&self.name(&entity.name));
        f.push(" for ").push(policy.command).push(" to ").push(policy.roles);
        if let Some(using) = policy.using {
            f.push(" using (").push(using).push(")");
        }
        if let Some(check) = policy.check {
            f.push(" with check (").push(check).push(")");
        }
        finish(&mut f)
    }

    /// Whatever else a policy allows: only rows of the value that the request's API key carries. A request without the
    /// setting compares with null, and reaches none.
    pub(super) fn create_bound_policy(&self, entity: &Entity) -> Option<String> {
        let bound = entity.bound_to.as_ref()?;
        let column = entity.columns.iter().find(|column| column.name == bound.column)?;
        let value = setting_sql(column.kind, &bound.setting);
        let mut f = Fragment::new();
        f.push("create policy rowhouse_key on ").name(&self.name(&entity.name));
        f.push(" as restrictive for all to anon, authenticated");
        for clause in [" using (", " with check ("] {
            f.push(clause).ident(&ident(&*column.name)).push(" = (select ").catalog_text(&value).push("))");
        }
        Some(finish(&mut f))
    }

    pub(super) fn drop_bound_policy(&self, table: &str) -> String {
        let mut f = Fragment::new();
        finish(f.push("drop policy rowhouse_key on ").name(&self.name(table)))
    }

    /// Whatever else a policy allows, and for every role: only under the setting of this app.
    pub(super) fn create_app_policy(&self, table: &str) -> String {
        let mut f = Fragment::new();
        f.push("create policy rowhouse_app on ").name(&self.name(table));
        f.push(" as restrictive for all to public using ((select rowhouse.app_id()) = ")
            .number(self.app.into());
        f.push(") with check ((select rowhouse.app_id()) = ").number(self.app.into()).push(")");
        finish(&mut f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(scope: Scope) -> Vec<String> {
        let entity = Entity {
            name: "todos".to_owned(),
            display_name: None,
            scope,
            columns: Vec::new(),
            bound_to: None,
            renamed_from: None,
            owned: scope.has_owner(),
        };
        Tables { schema: "app_57", app: 57 }.create_policies(&entity)
    }

    #[test]
    fn user_scoped_rows_are_their_owners() {
        assert_eq!(
            policies(Scope::UserScoped),
            [
                r#"create policy "view own todos" on "app_57"."todos" for select to authenticated using ((select auth.uid()) = user_id)"#,
                r#"create policy "insert own todos" on "app_57"."todos" for insert to authenticated with check ((select auth.uid()) = user_id)"#,
                r#"create policy "update own todos" on "app_57"."todos" for update to authenticated using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id)"#,
                r#"create policy "delete own todos" on "app_57"."todos" for delete to authenticated using ((select auth.uid()) = user_id)"#,
                r#"create policy "serve todos" on "app_57"."todos" for all to service_role using (true) with check (true)"#,
            ]
        );
    }

    #[test]
    fn only_public_rows_are_for_anonymous_readers() {
        for scope in [Scope::UserScoped, Scope::Shared, Scope::PublicRead] {
            let anon = policies(scope).into_iter().filter(|p| p.contains("anon")).collect::<Vec<_>>();
            assert_eq!(anon.len(), usize::from(scope == Scope::PublicRead), "{anon:?}");
            assert!(anon.iter().all(|p| p.contains(" for select ")));
        }
    }

    #[test]
    fn the_longest_entity_name_fits_every_policy() {
        let longest =
            policies(Scope::UserScoped).iter().filter_map(|p| p.split('"').nth(1)).map(str::len).max();
        assert!(longest.unwrap() - "todos".len() + super::super::names::ENTITY_BYTES_MAX <= 63);
    }
}
