//! The `auth` schema of a project's database, as SQL text that may be run any number of times.
//!
//! There is one definition of every table. A dedicated project gets it as it stands; in a shard every table
//! starts with `app_id`, every key and index is led by it, and row-level security is forced. Because the column
//! has a default and the policies supply the condition, the service's statements are the same in both.
//!
//! Before it runs, the role `supabase_auth_admin` exists and, in a shard, the function `rowhouse.app_id()`. It
//! is run by a superuser, or a role that may become `supabase_auth_admin` and create schemas.

const SCHEMAS: &str = include_str!("schemas.sql");
/// What belongs to `supabase_auth_admin` in the schema `auth`.
const TABLES: [&str; 8] = [
    include_str!("types.sql"),
    include_str!("users.sql"),
    include_str!("oauth.sql"),
    include_str!("sessions.sql"),
    include_str!("factors.sql"),
    include_str!("sso.sql"),
    include_str!("records.sql"),
    include_str!("functions.sql"),
];
/// Tables in the schema `rowhouse`, where only the superuser makes any.
const OUR_TABLES: [&str; 2] = [include_str!("outbox.sql"), include_str!("proofs.sql")];
const GRANTS: &str = include_str!("grants.sql");

/// The schema for the database of a dedicated project.
pub fn dedicated() -> String {
    expand("", "", &[&[SCHEMAS], &TABLES[..], &OUR_TABLES, &[GRANTS, include_str!("dedicated.sql")]])
}

/// The part of [`dedicated`] that a session of `supabase_auth_admin` itself can run again: all of the schema `auth`.
pub fn owned() -> String {
    expand("", "", &[&TABLES[..], &[GRANTS, include_str!("dedicated.sql")]])
}

/// The rest of [`dedicated`], for a superuser to run again in a database whose owner may have changed what is in it:
/// tables are made and changed without reading a row, so that nothing of the owner's is evaluated.
pub fn own_tables() -> String {
    expand("", "", &[&OUR_TABLES[..]])
}

/// The schema for a shard's database.
pub fn shard() -> String {
    let column = "app_id integer not null default rowhouse.app_id(),";
    expand(column, "app_id, ", &[&[SCHEMAS], &TABLES[..], &OUR_TABLES, &[GRANTS, include_str!("shard.sql")]])
}

fn expand(app_column: &str, app: &str, parts: &[&[&str]]) -> String {
    parts.concat().join("\n").replace("{app_column}", app_column).replace("{app}", app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_a_shard_is_led_by_the_app() {
        let script = shard();
        for table in script.split("create table if not exists ").skip(1) {
            let (name, body) = table.split_once(" (").unwrap();
            let leads = body.trim_start().starts_with("app_id integer not null default rowhouse.app_id(),");
            assert_eq!(leads, name != "auth.schema_migrations", "{name}");
        }
        for index in script.split("create unique index if not exists ").skip(1) {
            let columns = index.split_once('(').unwrap().1;
            assert!(columns.starts_with("app_id, "), "{index:.60}");
        }
    }

    #[test]
    fn no_marker_is_left() {
        for script in [dedicated(), shard()] {
            assert!(!script.contains("{app"));
        }
        assert!(!dedicated().contains("app_id"));
    }
}
