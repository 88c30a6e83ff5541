//! The configuration as text, in its own file's format: `--dump-config`.

use super::{ErrorVerbosity, LogLevel, OpenApiMode, ServerConfig, TxEnd};
use crate::schema::Name;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

fn quoted(text: impl AsRef<str>) -> String {
    format!("\"{}\"", text.as_ref().replace('"', "\\\""))
}

fn optional(text: Option<impl ToString>) -> String {
    quoted(text.map(|text| text.to_string()).unwrap_or_default())
}

fn name(name: &Option<Name>) -> String {
    let plain = |name: &Name| {
        if name.schema.is_empty() { name.name.to_string() } else { format!("{}.{}", name.schema, name.name) }
    };
    quoted(name.as_ref().map(plain).unwrap_or_default())
}

fn number(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "\"\"".to_owned(), |value| value.to_string())
}

impl ServerConfig {
    /// Every setting with its value, a line each, sorted.
    pub fn dump(&self) -> String {
        let mut lines: Vec<String> =
            self.values().into_iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let of_app = self.settings.app_settings.iter();
        lines.extend(of_app.map(|(key, value)| format!("{key} = {}\n", quoted(value))));
        lines.sort();
        lines.concat()
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let (s, server) = (&self.settings, &self.server);
        let list = |items: &[String]| quoted(items.join(","));
        let secret = s.jwt_secret.as_deref().unwrap_or_default();
        let secret = if s.jwt_secret_is_base64 {
            BASE64_STANDARD.encode(secret)
        } else {
            String::from_utf8_lossy(secret).into_owned()
        };
        vec![
            ("admin-server-host", quoted(&server.admin_host)),
            ("admin-server-port", number(server.admin_port)),
            (
                "admin-server-unix-socket",
                optional(server.admin_unix_socket.as_ref().map(|path| path.display())),
            ),
            ("admin-server-unix-socket-mode", quoted(format!("{:o}", server.admin_unix_socket_mode))),
            ("client-error-verbosity", quoted(verbosity(s.client_error_verbosity))),
            ("db-aggregates-enabled", s.db_aggregates_enabled.to_string()),
            ("db-anon-role", optional(s.db_anon_role.as_ref())),
            ("db-channel", quoted(&s.db_channel)),
            ("db-channel-enabled", s.db_channel_enabled.to_string()),
            ("db-config", s.db_config.to_string()),
            ("db-extra-search-path", list(&s.db_extra_search_path)),
            ("db-hoisted-tx-settings", list(&s.db_hoisted_tx_settings)),
            ("db-max-rows", number(s.db_max_rows)),
            ("db-plan-enabled", s.db_plan_enabled.to_string()),
            ("db-pool", s.db_pool.to_string()),
            ("db-pool-acquisition-timeout", s.db_pool_acquisition_timeout.as_secs().to_string()),
            ("db-pool-automatic-recovery", s.db_pool_automatic_recovery.to_string()),
            ("db-pool-max-idletime", s.db_pool_max_idletime.as_secs().to_string()),
            ("db-pool-max-lifetime", s.db_pool_max_lifetime.as_secs().to_string()),
            ("db-pre-config", name(&s.db_pre_config)),
            ("db-pre-request", name(&s.db_pre_request)),
            ("db-prepared-statements", s.db_prepared_statements.to_string()),
            ("db-root-spec", name(&s.db_root_spec)),
            ("db-schemas", list(&s.db_schemas)),
            ("db-tx-end", quoted(tx_end(s.db_tx_end))),
            ("db-uri", quoted(&server.db_uri)),
            ("jwt-aud", optional(s.jwt_aud.as_ref())),
            ("jwt-cache-max-entries", s.jwt_cache_max_entries.to_string()),
            ("jwt-role-claim-key", quoted(s.jwt_role_claim_key.replace('$', "$$"))),
            ("jwt-secret", quoted(secret)),
            ("jwt-secret-is-base64", s.jwt_secret_is_base64.to_string()),
            ("log-level", quoted(log_level(s.log_level))),
            ("log-query", s.log_query.to_string()),
            ("openapi-mode", quoted(openapi_mode(s.openapi_mode))),
            ("openapi-security-active", s.openapi_security_active.to_string()),
            ("openapi-server-proxy-uri", optional(s.openapi_server_proxy_uri.as_ref())),
            ("server-cors-allowed-origins", list(&s.server_cors_allowed_origins)),
            ("server-host", quoted(&server.host)),
            ("server-port", server.port.to_string()),
            ("server-reuseport", server.reuse_port.to_string()),
            ("server-timing-enabled", s.server_timing_enabled.to_string()),
            ("server-trace-header", optional(s.server_trace_header.as_ref())),
            ("server-unix-socket", optional(server.unix_socket.as_ref().map(|path| path.display()))),
            ("server-unix-socket-mode", quoted(format!("{:o}", server.unix_socket_mode))),
            ("url-use-legacy-target-names", s.url_use_legacy_target_names.to_string()),
        ]
    }
}

fn verbosity(value: ErrorVerbosity) -> &'static str {
    match value {
        ErrorVerbosity::Verbose => "verbose",
        ErrorVerbosity::Minimal => "minimal",
    }
}

fn tx_end(value: TxEnd) -> &'static str {
    match (value.rollback, value.allow_override) {
        (false, false) => "commit",
        (false, true) => "commit-allow-override",
        (true, false) => "rollback",
        (true, true) => "rollback-allow-override",
    }
}

fn log_level(value: LogLevel) -> &'static str {
    match value {
        LogLevel::Crit => "crit",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}

fn openapi_mode(value: OpenApiMode) -> &'static str {
    match value {
        OpenApiMode::FollowPrivileges => "follow-privileges",
        OpenApiMode::IgnorePrivileges => "ignore-privileges",
        OpenApiMode::Disabled => "disabled",
    }
}
