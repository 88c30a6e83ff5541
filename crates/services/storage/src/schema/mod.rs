//! The `storage` schema of a project's database, as SQL text that may be run any number of times.
//!
//! There is one definition of every table. A dedicated project gets it as it stands; in a shard every table
//! starts with `app_id`, every key and index is led by it, and row-level security is forced. Because the column
//! has a default and the policies supply the condition, the service's statements are the same in both, but for
//! the columns that an ON CONFLICT names.
//!
//! Before it runs, the role `supabase_storage_admin` exists and owns the schema, there is the function
//! `extensions.leakproof_lower` and, in a shard, `rowhouse.app_id()` and the auth schema. It is run by the
//! superuser in a new database and by `supabase_storage_admin` itself in one that its owner may have changed.

const TABLES: [&str; 15] = [
    include_str!("types.sql"),
    include_str!("migrations.sql"),
    include_str!("buckets.sql"),
    include_str!("objects.sql"),
    include_str!("multipart.sql"),
    include_str!("resumable.sql"),
    include_str!("vectors.sql"),
    include_str!("analytics.sql"),
    include_str!("names.sql"),
    include_str!("guards.sql"),
    include_str!("listing.sql"),
    include_str!("search.sql"),
    include_str!("search_v2.sql"),
    include_str!("grants.sql"),
    include_str!("events.sql"),
];

/// The schema for the database of a dedicated project.
pub fn dedicated() -> String {
    expand("", "", include_str!("dedicated.sql"))
}

/// The schema for a shard's database.
pub fn shard() -> String {
    expand("app_id integer not null default rowhouse.app_id(),", "app_id, ", include_str!("shard.sql"))
}

fn expand(app_column: &str, app: &str, last: &str) -> String {
    let mut script = TABLES.join("\n").replace("{app_column}", app_column).replace("{app}", app);
    script.push('\n');
    script.push_str(last);
    script
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
            assert_eq!(leads, name != "storage.migrations", "{name}");
        }
        for index in script.split("index if not exists ").skip(1) {
            let columns = index.split_once('(').unwrap().1;
            assert!(columns.starts_with("app_id, "), "{index:.60}");
        }
        for key in script.split(" references storage.").skip(1) {
            let columns = key.split_once('(').unwrap().1;
            assert!(columns.starts_with("app_id, "), "{key:.60}");
        }
        let keys: Vec<&str> = script.split("primary key (").skip(1).collect();
        let led = keys.iter().filter(|columns| columns.starts_with("app_id, ")).count();
        // All but that of storage.migrations.
        assert_eq!(led, keys.len() - 1);
    }

    #[test]
    fn no_marker_is_left() {
        for script in [dedicated(), shard()] {
            assert!(!script.contains("{app"));
        }
        assert!(!dedicated().contains("app_id"));
    }
}
