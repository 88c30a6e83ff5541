//! From values to settings: defaults, older names, validation with the reference's messages.

use super::server::ServerSettings;
use super::source::{ConfigError, Sources, split};
use super::{ErrorVerbosity, LogLevel, OpenApiMode, Settings, TxEnd};
use crate::schema::Name;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::time::Duration;

/// The fewest bytes of a secret that is neither a JWK nor a JWK set.
const SECRET_BYTES_MIN: usize = 32;
/// Schemas that are never exposed.
const FORBIDDEN_SCHEMAS: [&str; 2] = ["pg_catalog", "information_schema"];
/// File modes of sockets: at least and at most.
const SOCKET_MODES: (u32, u32) = (0o600, 0o777);

type Result<T> = std::result::Result<T, ConfigError>;

fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(ConfigError(message.into()))
}

/// Reads the API's settings. `secret` is what `jwt-secret` says, already read from its file when it named one.
///
/// # Errors
/// The first setting that is not valid.
pub fn settings(sources: &Sources, secret: Option<Vec<u8>>) -> Result<Settings> {
    let default = Settings::default();
    let seconds = |key: &str, default: Duration| sources.number(key).map_or(default, Duration::from_secs);
    let name = |keys: [&str; 2]| sources.text_of(keys).map(|text| Name::from_setting(&text));
    let idle = ["db-pool-timeout", "db-pool-max-idletime"].iter().find_map(|key| sources.number(key));
    let base64 =
        sources.flag("jwt-secret-is-base64").or_else(|| sources.flag("secret-is-base64")).unwrap_or(false);
    Ok(Settings {
        db_schemas: schemas(sources)?,
        db_extra_search_path: match sources.any_text("db-extra-search-path") {
            Some(text) if text.is_empty() => Vec::new(),
            Some(text) => split(&text),
            None => default.db_extra_search_path,
        },
        db_anon_role: sources.text("db-anon-role"),
        db_max_rows: sources.number("db-max-rows").or_else(|| sources.number("max-rows")),
        db_aggregates_enabled: sources.flag("db-aggregates-enabled").unwrap_or(default.db_aggregates_enabled),
        db_plan_enabled: sources.flag("db-plan-enabled").unwrap_or(default.db_plan_enabled),
        db_pre_request: name(["db-pre-request", "pre-request"]),
        db_root_spec: name(["db-root-spec", "root-spec"]),
        db_tx_end: tx_end(sources)?,
        db_prepared_statements: sources
            .flag("db-prepared-statements")
            .unwrap_or(default.db_prepared_statements),
        db_pool: sources.number("db-pool").unwrap_or(default.db_pool),
        db_pool_acquisition_timeout: seconds(
            "db-pool-acquisition-timeout",
            default.db_pool_acquisition_timeout,
        ),
        db_pool_max_idletime: idle.map_or(default.db_pool_max_idletime, Duration::from_secs),
        db_pool_max_lifetime: seconds("db-pool-max-lifetime", default.db_pool_max_lifetime),
        db_pool_automatic_recovery: sources
            .flag("db-pool-automatic-recovery")
            .unwrap_or(default.db_pool_automatic_recovery),
        db_channel: sources.text("db-channel").unwrap_or(default.db_channel),
        db_channel_enabled: sources.flag("db-channel-enabled").unwrap_or(default.db_channel_enabled),
        db_config: sources.flag("db-config").unwrap_or(default.db_config),
        db_pre_config: sources.text("db-pre-config").map(|text| Name::from_setting(&text)),
        db_hoisted_tx_settings: sources
            .list("db-hoisted-tx-settings")
            .unwrap_or(default.db_hoisted_tx_settings),
        jwt_secret: secret.map(|bytes| decode_secret(bytes, base64)).transpose()?,
        jwt_secret_is_base64: base64,
        jwt_aud: audience(sources)?,
        jwt_role_claim_key: role_claim_key(sources)?.unwrap_or(default.jwt_role_claim_key),
        jwt_cache_max_entries: sources
            .number("jwt-cache-max-entries")
            .unwrap_or(default.jwt_cache_max_entries),
        openapi_mode: openapi_mode(sources)?,
        openapi_security_active: sources
            .flag("openapi-security-active")
            .unwrap_or(default.openapi_security_active),
        openapi_server_proxy_uri: proxy_uri(sources)?,
        openapi_host: Some(shown_host(sources)),
        server_cors_allowed_origins: sources.list("server-cors-allowed-origins").unwrap_or_default(),
        server_trace_header: sources
            .text("server-trace-header")
            .map(|text| text.parse().map_err(|_| ConfigError("Invalid server-trace-header.".into())))
            .transpose()?,
        server_timing_enabled: sources.flag("server-timing-enabled").unwrap_or(default.server_timing_enabled),
        client_error_verbosity: verbosity(sources)?,
        url_use_legacy_target_names: sources
            .flag("url-use-legacy-target-names")
            .unwrap_or(default.url_use_legacy_target_names),
        app_settings: sources.app_settings(),
        log_level: log_level(sources)?,
        log_query: sources.flag("log-query").unwrap_or(default.log_query),
        aliases: default.aliases,
        table_prefix: default.table_prefix,
        extra_settings: default.extra_settings,
        hidden_relation_prefix: default.hidden_relation_prefix,
        body_bytes_max: default.body_bytes_max,
        stream_bytes_min: sources.number("server-stream-bytes-min").unwrap_or(default.stream_bytes_min),
        stream_stall_timeout: seconds("server-stream-stall-timeout", default.stream_stall_timeout),
        etag_enabled: sources.flag("server-etag-enabled").unwrap_or(default.etag_enabled),
        role_settings: default.role_settings,
    })
}

/// Reads the server's own settings. `uri` is the text of `db-uri`, already read from its file when it named one.
///
/// # Errors
/// The first setting that is not valid.
pub fn server(sources: &Sources, uri: String) -> Result<ServerSettings> {
    let host = sources.text("server-host").unwrap_or_else(|| "!4".into());
    let port = sources.number("server-port").unwrap_or(3000);
    let admin_port = sources.number("admin-server-port");
    if admin_port == Some(port) {
        return fail("admin-server-port cannot be the same as server-port");
    }
    Ok(ServerSettings {
        db_uri: uri,
        admin_host: sources.text("admin-server-host").unwrap_or_else(|| host.clone()),
        host,
        port,
        reuse_port: sources.flag("server-reuseport").unwrap_or(false),
        unix_socket: sources.text("server-unix-socket").map(Into::into),
        unix_socket_mode: socket_mode(sources, "server-unix-socket-mode")?,
        admin_port,
        admin_unix_socket: sources.text("admin-server-unix-socket").map(Into::into),
        admin_unix_socket_mode: socket_mode(sources, "admin-server-unix-socket-mode")?,
    })
}

fn schemas(sources: &Sources) -> Result<Vec<String>> {
    let Some(text) = sources.text_of(["db-schemas", "db-schema"]) else { return Ok(vec!["public".into()]) };
    let schemas = split(&text);
    match FORBIDDEN_SCHEMAS.iter().find(|name| schemas.iter().any(|schema| schema == *name)) {
        Some(name) => fail(format!("db-schemas does not allow schema: '{name}'")),
        None => Ok(schemas),
    }
}

fn tx_end(sources: &Sources) -> Result<TxEnd> {
    let (rollback, allow_override) = match sources.text("db-tx-end").as_deref() {
        None | Some("commit") => (false, false),
        Some("commit-allow-override") => (false, true),
        Some("rollback") => (true, false),
        Some("rollback-allow-override") => (true, true),
        Some(_) => return fail("Invalid transaction termination. Check your configuration."),
    };
    Ok(TxEnd { rollback, allow_override })
}

fn openapi_mode(sources: &Sources) -> Result<OpenApiMode> {
    match sources.text("openapi-mode").as_deref() {
        None | Some("follow-privileges") => Ok(OpenApiMode::FollowPrivileges),
        Some("ignore-privileges") => Ok(OpenApiMode::IgnorePrivileges),
        Some("disabled") => Ok(OpenApiMode::Disabled),
        Some(_) => fail("Invalid openapi-mode. Check your configuration."),
    }
}

fn verbosity(sources: &Sources) -> Result<ErrorVerbosity> {
    match sources.text("client-error-verbosity").as_deref() {
        None | Some("verbose") => Ok(ErrorVerbosity::Verbose),
        Some("minimal") => Ok(ErrorVerbosity::Minimal),
        Some(_) => fail("Invalid client-error-verbosity. Check your configuration."),
    }
}

fn log_level(sources: &Sources) -> Result<LogLevel> {
    match sources.text("log-level").as_deref() {
        Some("crit") => Ok(LogLevel::Crit),
        None | Some("error") => Ok(LogLevel::Error),
        Some("warn") => Ok(LogLevel::Warn),
        Some("info") => Ok(LogLevel::Info),
        Some("debug") => Ok(LogLevel::Debug),
        Some(_) => fail("Invalid logging level. Check your configuration."),
    }
}

fn proxy_uri(sources: &Sources) -> Result<Option<String>> {
    let Some(text) = sources.text("openapi-server-proxy-uri") else { return Ok(None) };
    let valid = text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if valid {
        Ok(Some(text))
    } else {
        fail("Malformed proxy uri, a correct example: https://example.com:8443/basePath")
    }
}

/// All addresses are shown as the reference shows them.
fn shown_host(sources: &Sources) -> String {
    let host = sources.text("server-host").unwrap_or_else(|| "!4".into());
    let host = if matches!(host.as_str(), "*" | "*4" | "!4" | "*6" | "!6") { "0.0.0.0" } else { &host };
    format!("{host}:{}", sources.number::<u16>("server-port").unwrap_or(3000))
}

fn role_claim_key(sources: &Sources) -> Result<Option<String>> {
    match sources.text_of(["jwt-role-claim-key", "role-claim-key"]) {
        Some(text) if !crate::jwt::is_role_path(&text) => {
            fail(format!("failed to parse role-claim-key value ({text})"))
        }
        valid => Ok(valid),
    }
}

/// An audience with a colon must be a URI.
fn audience(sources: &Sources) -> Result<Option<String>> {
    let Some(text) = sources.text("jwt-aud") else { return Ok(None) };
    let is_uri = |text: &str| {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
            && rest
                .split('%')
                .skip(1)
                .all(|part| part.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())))
    };
    if text.contains(':') && !is_uri(&text) {
        return fail("jwt-aud should be a string or a valid URI");
    }
    Ok(Some(text))
}

fn decode_secret(bytes: Vec<u8>, is_base64: bool) -> Result<Vec<u8>> {
    let secret = if is_base64 {
        let plain =
            String::from_utf8_lossy(&bytes).trim().replace('_', "/").replace('-', "+").replace('.', "=");
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        match GeneralPurpose::new(&STANDARD, config).decode(plain) {
            Ok(bytes) => bytes,
            Err(_) => return fail("jwt-secret is not valid base64"),
        }
    } else {
        bytes
    };
    let is_json = || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&secret).is_ok();
    if secret.len() < SECRET_BYTES_MIN && !is_json() {
        return fail("The JWT secret must be at least 32 characters long.");
    }
    Ok(secret)
}

fn socket_mode(sources: &Sources, key: &str) -> Result<u32> {
    let Some(text) = sources.text(key) else { return Ok(0o660) };
    match u32::from_str_radix(&text, 8) {
        Err(_) => fail(format!("Invalid {key}: not an octal")),
        Ok(mode) if (SOCKET_MODES.0..=SOCKET_MODES.1).contains(&mode) => Ok(mode),
        Ok(_) => fail(format!("Invalid {key}: needs to be between 600 and 777")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Sources {
        let owned = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Sources::new(Default::default(), owned)
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Settings> {
        let sources = env(pairs);
        let secret = sources.text("jwt-secret").map(String::into_bytes);
        settings(&sources, secret)
    }

    #[test]
    fn defaults_without_any_source() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.db_schemas, ["public"]);
        assert_eq!(settings.db_extra_search_path, ["public"]);
        assert!(settings.db_prepared_statements);
    }

    #[test]
    fn the_environment_is_read_in_any_spelling() {
        let settings = read(&[
            ("PGRST_DB_SCHEMAS", "a, b"),
            ("PGRST_DB_MAX_ROWS", "10"),
            ("PGRST_DB_EXTRA_SEARCH_PATH", ""),
            ("PGRST_DB_AGGREGATES_ENABLED", "\"True\""),
            ("PGRST_DB_PLAN_ENABLED", "1"),
            ("PGRST_APP_SETTINGS_HOST", "h"),
            ("PGRST_DB_PRE_REQUEST", "api.check"),
            ("OTHER", "x"),
        ])
        .unwrap();
        assert_eq!(settings.db_schemas, ["a", "b"]);
        assert_eq!(settings.db_max_rows, Some(10));
        assert!(settings.db_extra_search_path.is_empty());
        assert!(settings.db_aggregates_enabled && settings.db_plan_enabled);
        assert_eq!(settings.app_settings, [("app.settings.HOST".to_owned(), "h".to_owned())]);
        assert_eq!(settings.db_pre_request, Some(Name::new("api", "check")));
    }

    #[test]
    fn the_database_beats_the_environment() {
        let mut sources = env(&[("PGRST_DB_ANON_ROLE", "a"), ("PGRST_DB_TX_END", "rollback")]);
        sources.database.insert("db_anon_role".into(), "b".into());
        let settings = settings(&sources, None).unwrap();
        assert_eq!(settings.db_anon_role.as_deref(), Some("b"));
        assert!(settings.db_tx_end.rollback);
    }

    #[test]
    fn mistakes_have_the_references_messages() {
        for (name, value, message) in [
            ("PGRST_DB_SCHEMAS", "a,pg_catalog", "db-schemas does not allow schema: 'pg_catalog'"),
            ("PGRST_DB_TX_END", "x", "Invalid transaction termination. Check your configuration."),
            ("PGRST_OPENAPI_MODE", "x", "Invalid openapi-mode. Check your configuration."),
            ("PGRST_LOG_LEVEL", "x", "Invalid logging level. Check your configuration."),
            ("PGRST_JWT_ROLE_CLAIM_KEY", ".a;;b", "failed to parse role-claim-key value (.a;;b)"),
            ("PGRST_JWT_ROLE_CLAIM_KEY", "role", "failed to parse role-claim-key value (role)"),
            ("PGRST_JWT_SECRET", "short", "The JWT secret must be at least 32 characters long."),
            ("PGRST_JWT_AUD", "http://%%localhorst", "jwt-aud should be a string or a valid URI"),
            (
                "PGRST_OPENAPI_SERVER_PROXY_URI",
                "example.com",
                "Malformed proxy uri, a correct example: https://example.com:8443/basePath",
            ),
        ] {
            assert_eq!(read(&[(name, value)]).unwrap_err().0, message, "{name}");
        }
        let sources = env(&[("PGRST_SERVER_PORT", "3000"), ("PGRST_ADMIN_SERVER_PORT", "3000")]);
        assert!(server(&sources, String::new()).is_err());
        let sources = env(&[("PGRST_SERVER_UNIX_SOCKET_MODE", "10")]);
        let message = "Invalid server-unix-socket-mode: needs to be between 600 and 777";
        assert_eq!(server(&sources, String::new()).unwrap_err().0, message);
    }

    #[test]
    fn a_base64_secret_is_decoded() {
        let settings = read(&[
            ("PGRST_JWT_SECRET", "cmVhbGx5cmVhbGx5cmVhbGx5cmVhbGx5dmVyeXNhZmU="),
            ("PGRST_JWT_SECRET_IS_BASE64", "true"),
        ])
        .unwrap();
        assert_eq!(settings.jwt_secret.unwrap(), b"reallyreallyreallyreallyverysafe");
    }
}
