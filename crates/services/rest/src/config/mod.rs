//! The settings of one project's data API: PostgREST's own, by its names and with its defaults, and the few
//! that a pooled project needs.

pub mod database;
mod dump;
mod file;
mod read;
mod server;
mod source;

pub use server::{ServerConfig, ServerSettings};
pub use source::ConfigError;

use crate::schema::{Isolation, Name};
use std::time::Duration;

/// Settings of one project. Immutable; a reload makes a new one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `db-schemas`: exposed schemas by physical name, the first is the default. Never empty.
    pub db_schemas: Vec<String>,
    /// `db-extra-search-path`: schemas that follow the request's schema in `search_path`.
    pub db_extra_search_path: Vec<String>,
    /// `db-anon-role`: the role of requests without a token; without it they are refused.
    pub db_anon_role: Option<String>,
    /// `db-max-rows`: a cap on every read and embed.
    pub db_max_rows: Option<u64>,
    /// `db-aggregates-enabled`.
    pub db_aggregates_enabled: bool,
    /// `db-plan-enabled`: whether `application/vnd.pgrst.plan` is served.
    pub db_plan_enabled: bool,
    /// `db-pre-request`: a function called before every main statement.
    pub db_pre_request: Option<Name>,
    /// `db-root-spec`: a function that serves the root instead of OpenAPI.
    pub db_root_spec: Option<Name>,
    /// `db-tx-end`.
    pub db_tx_end: TxEnd,
    /// `db-prepared-statements`: named statements, or unnamed ones for transaction poolers.
    pub db_prepared_statements: bool,
    /// `db-pool`: the most connections.
    pub db_pool: u32,
    /// `db-pool-acquisition-timeout`.
    pub db_pool_acquisition_timeout: Duration,
    /// `db-pool-max-idletime`.
    pub db_pool_max_idletime: Duration,
    /// `db-pool-max-lifetime`.
    pub db_pool_max_lifetime: Duration,
    /// `db-pool-automatic-recovery`: whether a lost database is tried again.
    pub db_pool_automatic_recovery: bool,
    /// `db-channel`: the channel on which schema changes are announced.
    pub db_channel: String,
    /// `db-channel-enabled`.
    pub db_channel_enabled: bool,
    /// `db-config`: whether settings are read from the login role as well.
    pub db_config: bool,
    /// `db-pre-config`: a function called before those are read.
    pub db_pre_config: Option<Name>,
    /// `db-hoisted-tx-settings`: names of function settings that apply to the whole transaction.
    pub db_hoisted_tx_settings: Vec<String>,
    /// `jwt-secret`: a text of 32 bytes or more, a JWK or a JWK set. Already decoded when it was base64.
    pub jwt_secret: Option<Vec<u8>>,
    /// `jwt-secret-is-base64`, as configured (the secret above is already decoded).
    pub jwt_secret_is_base64: bool,
    /// `jwt-aud`: the audience that tokens must name, when set.
    pub jwt_aud: Option<String>,
    /// `jwt-role-claim-key`: where in the claims the role is, a JSONPath like `$.role` (or the older `.role`).
    pub jwt_role_claim_key: String,
    /// `jwt-cache-max-entries`: 0 turns the cache off.
    pub jwt_cache_max_entries: usize,
    /// `openapi-mode`.
    pub openapi_mode: OpenApiMode,
    /// `openapi-security-active`.
    pub openapi_security_active: bool,
    /// `openapi-server-proxy-uri`.
    pub openapi_server_proxy_uri: Option<String>,
    /// The host and port that the OpenAPI description shows without it: `server-host` and `server-port`.
    pub openapi_host: Option<String>,
    /// `server-cors-allowed-origins`: empty allows every origin.
    pub server_cors_allowed_origins: Vec<String>,
    /// `server-trace-header`: a request header that is echoed.
    pub server_trace_header: Option<http::HeaderName>,
    /// `server-timing-enabled`.
    pub server_timing_enabled: bool,
    /// `client-error-verbosity`.
    pub client_error_verbosity: ErrorVerbosity,
    /// `url-use-legacy-target-names`: an aliased embed may still be named by its relation in filters.
    pub url_use_legacy_target_names: bool,
    /// `app.settings.*`: names (with the `app.settings.` prefix) and values, set in every transaction.
    pub app_settings: Vec<(String, String)>,
    /// `log-level`.
    pub log_level: LogLevel,
    /// `log-query`.
    pub log_query: bool,

    /// Physical schema → the name that clients see and send (pooled: `app_57` → `public`). Schemas that are
    /// not listed are shown as they are.
    pub aliases: Vec<(String, String)>,
    /// A prefix that clients may put before relation names (pooled: `app_57_`).
    pub table_prefix: Option<String>,
    /// Fixed settings of the project, set transaction-locally in every request (pooled: `rowhouse.app_id`).
    pub extra_settings: Vec<(String, String)>,
    /// Relations and functions whose names start so are not exposed (pooled: `rowhouse_`).
    pub hidden_relation_prefix: Option<String>,
    /// Request bodies above this many bytes are refused.
    pub body_bytes_max: usize,
    /// `server-stream-bytes-min`: replies above this many bytes are passed on as they come from the database.
    pub stream_bytes_min: usize,
    /// `server-stream-stall-timeout`: how long a client may take to read 256 KB of such a reply.
    pub stream_stall_timeout: Duration,
    /// `server-etag-enabled`: whether replies to reads carry an entity tag.
    pub etag_enabled: bool,

    /// Settings of the roles that the login role may become, applied in transactions of that role. Read from
    /// the database with the in-database configuration.
    pub role_settings: Vec<RoleSettings>,
}

/// What `pg_roles` says about a role that the login role may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSettings {
    /// The role.
    pub role: String,
    /// `default_transaction_isolation` of the role.
    pub isolation: Option<Isolation>,
    /// Its other settings that the login role may set.
    pub settings: Vec<(String, String)>,
}

/// `db-tx-end`: how transactions end and whether `Prefer: tx=` may say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxEnd {
    /// Roll back by default (for trying things out).
    pub rollback: bool,
    /// `Prefer: tx=commit|rollback` is honoured.
    pub allow_override: bool,
}

/// `openapi-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenApiMode {
    /// Show what the role may use.
    #[default]
    FollowPrivileges,
    /// Show everything exposed.
    IgnorePrivileges,
    /// Serve no root.
    Disabled,
}

/// `client-error-verbosity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorVerbosity {
    /// All four keys.
    #[default]
    Verbose,
    /// Code and message only.
    Minimal,
}

/// `log-level`, from the fewest lines to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    Crit,
    #[default]
    Error,
    Warn,
    Info,
    Debug,
}

/// Function settings that are hoisted unless configured otherwise.
pub const DEFAULT_HOISTED_SETTINGS: [&str; 3] =
    ["statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation"];

impl Default for Settings {
    fn default() -> Self {
        Settings {
            db_schemas: vec!["public".into()],
            db_extra_search_path: vec!["public".into()],
            db_anon_role: None,
            db_max_rows: None,
            db_aggregates_enabled: false,
            db_plan_enabled: false,
            db_pre_request: None,
            db_root_spec: None,
            db_tx_end: TxEnd::default(),
            db_prepared_statements: true,
            db_pool: 10,
            db_pool_acquisition_timeout: Duration::from_secs(10),
            db_pool_max_idletime: Duration::from_secs(30),
            db_pool_max_lifetime: Duration::from_secs(1800),
            db_pool_automatic_recovery: true,
            db_channel: "pgrst".into(),
            db_channel_enabled: true,
            db_config: true,
            db_pre_config: None,
            db_hoisted_tx_settings: DEFAULT_HOISTED_SETTINGS.map(String::from).to_vec(),
            jwt_secret: None,
            jwt_secret_is_base64: false,
            jwt_aud: None,
            jwt_role_claim_key: "$.role".into(),
            jwt_cache_max_entries: 1000,
            openapi_mode: OpenApiMode::default(),
            openapi_security_active: false,
            openapi_server_proxy_uri: None,
            openapi_host: None,
            server_cors_allowed_origins: Vec::new(),
            server_trace_header: None,
            server_timing_enabled: false,
            client_error_verbosity: ErrorVerbosity::default(),
            url_use_legacy_target_names: true,
            app_settings: Vec::new(),
            log_level: LogLevel::default(),
            log_query: false,
            aliases: Vec::new(),
            table_prefix: None,
            extra_settings: Vec::new(),
            hidden_relation_prefix: None,
            body_bytes_max: 64 * 1024 * 1024,
            stream_bytes_min: 1024 * 1024,
            stream_stall_timeout: Duration::from_secs(30),
            etag_enabled: true,
            role_settings: Vec::new(),
        }
    }
}

impl Settings {
    /// The schema that a request uses when it names none.
    pub fn default_schema(&self) -> &str {
        self.db_schemas.first().map_or("public", String::as_str)
    }

    /// The name that clients see for a physical schema.
    pub fn shown_schema<'a>(&'a self, physical: &'a str) -> &'a str {
        self.aliases.iter().find(|(from, _)| from == physical).map_or(physical, |(_, shown)| shown)
    }

    /// The exposed physical schema that a client means by a name.
    pub fn physical_schema(&self, shown: &str) -> Option<&str> {
        self.db_schemas.iter().map(String::as_str).find(|schema| self.shown_schema(schema) == shown)
    }

    /// Other projects share the database, so names of its objects must not be looked up.
    pub fn hides_catalog(&self) -> bool {
        self.table_prefix.is_some()
    }

    /// A relation's name without the project's table prefix.
    pub fn relation_name<'a>(&self, name: &'a str) -> &'a str {
        self.table_prefix.as_deref().and_then(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
    }

    /// What is known about a role that requests may run as.
    pub fn role(&self, role: &str) -> Option<&RoleSettings> {
        self.role_settings.iter().find(|item| item.role == role)
    }
}
