//! Settings that the database keeps: `pgrst.*` of the login role, what a pre-config function sets, and the
//! settings of the roles that requests may run as.

use super::RoleSettings;
use crate::schema::{Isolation, Name};
use pg::{Connection, Pipeline};
use sql::Fragment;
use std::collections::BTreeMap;

/// The settings that may be kept in the database.
const NAMES: [&str; 25] = [
    "client_error_verbosity",
    "db_aggregates_enabled",
    "db_anon_role",
    "db_extra_search_path",
    "db_hoisted_tx_settings",
    "db_max_rows",
    "db_plan_enabled",
    "db_pre_config",
    "db_pre_request",
    "db_prepared_statements",
    "db_root_spec",
    "db_schemas",
    "db_tx_end",
    "jwt_aud",
    "jwt_cache_max_entries",
    "jwt_role_claim_key",
    "jwt_secret",
    "jwt_secret_is_base64",
    "openapi_mode",
    "openapi_security_active",
    "openapi_server_proxy_uri",
    "server_cors_allowed_origins",
    "server_timing_enabled",
    "server_trace_header",
    "url_use_legacy_target_names",
];

/// The prefix of those settings in the database.
const PREFIX: &str = "pgrst.";

/// Reads the settings that the login role carries (those for this database beat its general ones, and both
/// beat what the pre-config function sets). Names come without prefix: `db_schemas`.
///
/// # Errors
/// The database's, of the pre-config function too.
pub async fn settings(
    connection: &mut Connection,
    pre_config: Option<&Name>,
) -> Result<Vec<(String, String)>, pg::Error> {
    let mut pipeline = Pipeline::new();
    pipeline.step_uncached("select set_config('transaction_read_only', 'on', true)", vec![]);
    pipeline.step_uncached(include_str!("sql/role_config.sql"), vec![]);
    if let Some(function) = pre_config {
        let mut call = Fragment::new();
        call.push("select ");
        match &*function.schema {
            "" => call.ident(&(&*function.name).into()),
            _ => call.name(&function.to_sql()),
        };
        call.push("()");
        pipeline.step_uncached(call.into_parts().0, vec![]);
        let names = NAMES.map(|name| format!("{PREFIX}{name}")).join(",");
        pipeline.step_uncached(
            "select name, current_setting(name, true) from unnest(string_to_array($1, ',')) name",
            vec![pg::text(names)],
        );
    }
    let answers = connection.run(&pipeline).await?;
    let mut found = BTreeMap::new();
    let known = |name: &str| name.strip_prefix(PREFIX).filter(|name| NAMES.contains(name)).map(str::to_owned);
    for row in answers.get(3).into_iter().flat_map(|rows| rows.iter()) {
        if let (Some(name), Some(value)) = (row.text(0).and_then(known), row.text(1)) {
            found.insert(name, value.to_owned());
        }
    }
    for row in answers.get(1).into_iter().flat_map(|rows| rows.iter()) {
        let pair = row.text(0).and_then(|text| text.split_once('='));
        if let Some((Some(name), value)) = pair.map(|(name, value)| (known(name), value)) {
            found.insert(name, value.to_owned());
        }
    }
    Ok(found.into_iter().collect())
}

/// Reads the settings of the roles that the login role may become.
///
/// # Errors
/// The database's.
pub async fn roles(connection: &mut Connection) -> Result<Vec<RoleSettings>, pg::Error> {
    let rows = connection.query(include_str!("sql/roles.sql"), &[]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        let (role, all): (String, Vec<(String, String)>) = row.json(0)?;
        let (isolation, settings): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(name, _)| name == "default_transaction_isolation");
        let isolation = isolation.first().and_then(|(_, value)| Isolation::parse(value));
        found.push(RoleSettings { role, isolation, settings });
    }
    Ok(found)
}
