//! Keys that the official CLI knows and that configure what this version does not have, or what has no meaning
//! here (container settings). They are ignored without a word.

/// Whole tables, with all below them, and single keys.
const KNOWN: [&str; 22] = [
    "api.auto_expose_new_tables",
    "api.tls",
    "api.external_url",
    "db.health_timeout",
    "db.pooler",
    "db.vault",
    "db.network_restrictions",
    "db.ssl_enforcement",
    "db.settings",
    "db.root_key",
    "db.migrations.schema_paths",
    "realtime",
    "studio.enabled",
    "studio.api_url",
    "studio.openai_api_key",
    "inbucket.pop3_port",
    "mailpit.pop3_port",
    "functions",
    "edge_runtime",
    "analytics",
    "experimental",
    "remotes",
];
pub(super) fn is_known(path: &str) -> bool {
    KNOWN.contains(&path)
}
