//! From what the catalog says of a project to the settings of its services.

use super::storage::StoredS3Key;
use crate::config::{ApiSection, AuthSection, ProjectConfig, StorageSection};
use catalog::Catalog;
use catalog::SigningKey;
use catalog::signing_keys::HS256;
use platform::{Endpoint, Project};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Relations of the platform inside a pooled project's schema.
const HIDDEN_PREFIX: &str = "rowhouse_";

/// The setting that holds the key of single sign-on which was made up for a project.
pub(crate) const SAML_KEY: &str = "saml_key";

/// The setting that holds the access keys of the S3 protocol, which are made one by one.
pub(crate) const S3_KEYS: &str = "s3_keys";

/// The part of a project's settings in the catalog that configures its services.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectSettings {
    pub api: ApiSection,
    pub auth: AuthSection,
    pub storage: StorageSection,
    /// Not among the settings that are written: they would be overwritten with them.
    #[serde(skip)]
    pub s3_keys: Vec<StoredS3Key>,
}

impl ProjectSettings {
    /// What a configuration file asks for.
    pub fn from_config(config: &ProjectConfig) -> Self {
        ProjectSettings {
            api: config.api.clone(),
            auth: config.auth.clone(),
            storage: config.storage.clone(),
            s3_keys: Vec::new(),
        }
    }

    /// What the catalog says. A part that makes no sense counts as absent, so that one bad value does not take a
    /// project down.
    pub fn of(catalog: &Catalog, project: &Project) -> Self {
        let part = |name: &str| match project.settings.get(name) {
            Some(sealed) => catalog::settings::open(catalog.key(), &project.reference, sealed),
            None => Value::Object(Map::new()),
        };
        let warn = |name: &str, error: serde_json::Error| {
            tracing::warn!(project = %project.reference, setting = name, %error, "a setting of the project is not usable");
        };
        let mut settings = ProjectSettings {
            api: serde_json::from_value(part("api")).map_err(|e| warn("api", e)).unwrap_or_default(),
            auth: serde_json::from_value(part("auth")).map_err(|e| warn("auth", e)).unwrap_or_default(),
            storage: serde_json::from_value(part("storage"))
                .map_err(|e| warn("storage", e))
                .unwrap_or_default(),
            s3_keys: StoredS3Key::list(part(S3_KEYS)),
        };
        if settings.auth.saml.wants_key()
            && let Value::String(key) = part(SAML_KEY)
        {
            settings.auth.saml.private_key = model::Secret::new(key);
        }
        settings
    }

    /// The settings of the data API. `url` is the project's own.
    pub fn rest(
        &self,
        endpoint: &Endpoint,
        signing_keys: &[SigningKey],
        url: &str,
    ) -> rest::config::Settings {
        let pooled = endpoint.app_schema.as_ref();
        let physical =
            |schemas: &[platform::SchemaAlias]| schemas.iter().map(|s| s.physical.clone()).collect();
        let aliases = endpoint.schemas.iter().filter(|s| s.physical != s.shown);
        rest::config::Settings {
            db_schemas: if pooled.is_some() { physical(&endpoint.schemas) } else { self.api.schemas.clone() },
            // A shard's public schema is nobody's.
            db_extra_search_path: match pooled {
                Some(_) => {
                    self.api.extra_search_path.iter().filter(|name| *name != "public").cloned().collect()
                }
                None => self.api.extra_search_path.clone(),
            },
            db_anon_role: Some(model::role::ANON.to_owned()),
            db_max_rows: Some(self.api.max_rows).filter(|max| *max > 0),
            db_config: pooled.is_none(),
            jwt_secret: jwt_secret(signing_keys),
            openapi_server_proxy_uri: Some(format!("{url}/rest/v1")),
            openapi_security_active: true,
            aliases: aliases.map(|s| (s.physical.clone(), s.shown.clone())).collect(),
            table_prefix: pooled.map(model::SchemaName::table_prefix),
            extra_settings: endpoint.extra_settings.clone(),
            hidden_relation_prefix: pooled.map(|_| HIDDEN_PREFIX.to_owned()),
            ..rest::config::Settings::default()
        }
    }

    /// The settings of auth. `url` is the project's own.
    pub fn auth(&self, endpoint: &Endpoint, signing_keys: &[SigningKey], url: &str) -> auth::Settings {
        let from = &self.auth;
        let keys = Arc::new(platform::projects::signing_keys::key_set(signing_keys));
        let own = format!("{url}/auth/v1");
        let url = Some(&from.external_url).filter(|url| !url.is_empty()).unwrap_or(&own);
        let mut to = auth::Settings::new(keys, &*from.site_url, url);
        if !from.jwt_issuer.is_empty() {
            to.jwt_issuer.clone_from(&from.jwt_issuer);
        }
        to.uri_allow_list.clone_from(&from.additional_redirect_urls);
        to.jwt_expiry = Duration::from_secs(from.jwt_expiry_s);
        to.disable_signup = !from.enable_signup;
        to.email_enabled = from.email.enable_signup;
        to.phone_enabled = from.sms.enable_signup;
        to.anonymous_enabled = from.enable_anonymous_sign_ins;
        to.manual_linking_enabled = from.enable_manual_linking;
        to.mailer_autoconfirm = !from.email.enable_confirmations;
        to.mailer_secure_email_change = from.email.double_confirm_changes;
        to.mailer_otp_length = usize::try_from(from.email.otp_length).unwrap_or(6);
        to.mailer_otp_expiry = Duration::from_secs(from.email.otp_expiry_s);
        to.mailer_max_frequency = from.email.max_frequency;
        to.sms_autoconfirm = !from.sms.enable_confirmations;
        to.sms_max_frequency = from.sms.max_frequency;
        to.sms_otp_length = usize::try_from(from.sms.otp_length).unwrap_or(6);
        to.sms_otp_expiry = Duration::from_secs(from.sms.otp_expiry_s);
        to.password_min_length = usize::try_from(from.minimum_password_length).unwrap_or(6);
        to.password_required_characters = required_characters(&from.password_requirements);
        to.update_password_require_reauthentication = from.email.secure_password_change;
        to.refresh_token_rotation = from.enable_refresh_token_rotation;
        to.refresh_token_reuse_interval = Duration::from_secs(from.refresh_token_reuse_interval_s);
        to.sessions.timebox = from.session_timebox;
        to.sessions.inactivity_timeout = from.session_inactivity_timeout;
        to.sessions.allow_low_aal = from.sessions.allow_low_aal;
        to.sessions.single_per_user = from.sessions.single_per_user;
        to.sessions.tags.clone_from(&from.sessions.tags);
        to.refresh_tokens.signed = from.sessions.refresh_token_algorithm_version == 2;
        to.refresh_tokens.upgrade_percentage = from.sessions.refresh_token_upgrade_percentage;
        to.refresh_tokens.allow_reuse = from.sessions.refresh_token_allow_reuse;
        to.webauthn.passkeys = from.passkeys.enabled;
        to.webauthn.rp_id.clone_from(&from.passkeys.rp_id);
        to.webauthn.rp_display_name.clone_from(&from.passkeys.rp_display_name);
        to.webauthn.rp_origins.clone_from(&from.passkeys.rp_origins);
        to.webauthn.requires_verification = from.passkeys.user_verification_required;
        to.webauthn.mfa_enroll = from.mfa.web_authn.enroll_enabled;
        to.webauthn.mfa_verify = from.mfa.web_authn.verify_enabled;
        let limit = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        to.rate_limits.otp = limit(from.rate_limit.sign_in_sign_ups);
        to.rate_limits.anonymous = limit(from.rate_limit.anonymous_users);
        to.rate_limits.token_refresh = limit(from.rate_limit.token_refresh);
        to.rate_limits.verify = limit(from.rate_limit.token_verifications);
        to.rate_limits.email_sent = limit(from.rate_limit.email_sent);
        to.rate_limits.sms_sent = limit(from.rate_limit.sms_sent);
        to.rate_limits.sso = limit(from.rate_limit.sso);
        to.rate_limits.saml_assertion = limit(from.rate_limit.saml_assertion);
        to.rate_limits.mfa = limit(from.rate_limit.mfa);
        to.rate_limits.oauth_register = limit(from.rate_limit.oauth_register);
        to.extra_settings.clone_from(&endpoint.extra_settings);
        to.rate_limits.passkey = limit(from.rate_limit.passkey);
        to.sms.sent_refill = from.rate_limit.sms_sent_refill;
        let until = from.sms.test_otp_valid_until_s.map(Duration::from_secs);
        to.sms.test_otp_until = until.and_then(|until| SystemTime::UNIX_EPOCH.checked_add(until));
        to.sms_test_otp = from.sms.test_otp.clone().into_iter().collect();
        to.mfa.totp_enroll = from.mfa.totp.enroll_enabled;
        to.mfa.totp_verify = from.mfa.totp.verify_enabled;
        to.mfa.phone_enroll = from.mfa.phone.enroll_enabled;
        to.mfa.phone_verify = from.mfa.phone.verify_enabled;
        to.mfa.max_enrolled_factors = usize::try_from(from.mfa.max_enrolled_factors).unwrap_or(10);
        to.oauth_server.enabled = from.oauth_server.enabled;
        to.oauth_server.allow_dynamic_registration = from.oauth_server.allow_dynamic_registration;
        to.oauth_server.authorization_path.clone_from(&from.oauth_server.authorization_url_path);
        to.external = from.external.settings();
        to.web3 = from.web3.settings();
        to.saml = from.saml.settings();
        to.rate_limits.web3 = limit(from.rate_limit.web3);
        to.protection = from.protection.settings();
        to.sms.template.clone_from(&from.sms.template);
        let factor = &from.mfa.phone_messages;
        to.sms.factor_template.clone_from(factor.template.as_ref().unwrap_or(&from.sms.template));
        to.sms.factor_max_frequency = factor.max_frequency.unwrap_or(from.sms.max_frequency);
        to.sms.factor_otp_length = usize::try_from(factor.otp_length.unwrap_or(6)).unwrap_or(6);
        if let Some(gateway) = &from.sms.gateway {
            to.sms_provider.clone_from(&gateway.provider);
            to.sms.gateway = gateway.settings();
        }
        to.hooks = from.hook.settings(endpoint.app_schema.is_some());
        to
    }
}

/// What the data API verifies tokens with: one secret as it is, else a set of JSON Web Keys, only the public halves
/// of those that have one.
fn jwt_secret(keys: &[SigningKey]) -> Option<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    let is_secret = |key: &&SigningKey| key.algorithm == HS256;
    let secrets: Vec<&SigningKey> = keys.iter().filter(is_secret).collect();
    let mut set = platform::projects::signing_keys::key_set(keys).public_jwks();
    let list = set.get_mut("keys")?.as_array_mut()?;
    match (list.is_empty(), secrets.as_slice()) {
        (true, []) => return None,
        (true, [one]) => return Some(one.material.as_bytes().to_vec()),
        _ => {}
    }
    list.extend(
        secrets
            .iter()
            .map(|key| serde_json::json!({ "kty": "oct", "alg": HS256, "k": B64.encode(&key.material) })),
    );
    Some(set.to_string().into_bytes())
}

/// The sets of characters that a password needs one each of.
fn required_characters(requirements: &str) -> Vec<String> {
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const DIGITS: &str = "0123456789";
    const SYMBOLS: &str = "!@#$%^&*()_+-=[]{};'\\:\"|<>?,./`~";
    let letters = format!("{LOWER}{UPPER}");
    let sets: &[&str] = match requirements {
        "letters_digits" => &[&letters, DIGITS],
        "lower_upper_letters_digits" => &[LOWER, UPPER, DIGITS],
        "lower_upper_letters_digits_symbols" => &[LOWER, UPPER, DIGITS, SYMBOLS],
        _ => &[],
    };
    sets.iter().map(|set| (*set).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ProjectRef, Tenancy};

    #[test]
    fn settings_survive_the_catalog() {
        let mut settings = ProjectSettings::default();
        settings.api.max_rows = 7;
        settings.auth.email.max_frequency = Duration::from_millis(1500);
        let stored = serde_json::to_value(&settings).unwrap();
        assert_eq!(serde_json::from_value::<ProjectSettings>(stored).unwrap(), settings);
    }

    fn endpoint(app_schema: Option<model::SchemaName>) -> Endpoint {
        let config = || pg::Config::from_url("postgresql://nobody@127.0.0.1/none").unwrap();
        Endpoint {
            admin: config(),
            rest: config(),
            auth: config(),
            postgres: None,
            extra_settings: Vec::new(),
            schemas: Vec::new(),
            app_schema,
            lease: None,
        }
    }

    #[test]
    fn settings_of_earlier_versions_are_read() {
        let stored = serde_json::json!({
            "api": { "max_rows": 7 },
            "auth": { "enable_signup": false, "sms": { "enable_signup": true } },
        });
        let settings: ProjectSettings = serde_json::from_value(stored).unwrap();
        assert!(!settings.auth.enable_signup && settings.auth.sms.enable_signup);
        let auth = settings.auth(&endpoint(None), &secrets(&["s"]), "http://x");
        // As projects had them before they could be configured.
        assert!(auth.mfa.totp_enroll && auth.mfa.totp_verify && !auth.mfa.phone_enroll);
        assert!(!auth.oauth_server.enabled && auth.hooks.custom_access_token.is_none());
        assert!(auth.sms_test_otp.is_empty());
    }

    #[test]
    fn factors_the_oauth_server_and_test_codes_reach_auth() {
        let mut settings = ProjectSettings::default();
        settings.auth.mfa.totp.enroll_enabled = false;
        settings.auth.mfa.phone.verify_enabled = true;
        settings.auth.mfa.max_enrolled_factors = 3;
        settings.auth.oauth_server.enabled = true;
        settings.auth.oauth_server.allow_dynamic_registration = true;
        settings.auth.sms.test_otp.insert("4152127777".to_owned(), "123456".into());
        let auth = settings.auth(&endpoint(None), &secrets(&["s"]), "http://x");
        assert!(!auth.mfa.totp_enroll && auth.mfa.totp_verify);
        assert!(!auth.mfa.phone_enroll && auth.mfa.phone_verify);
        assert_eq!(auth.mfa.max_enrolled_factors, 3);
        assert!(auth.oauth_server.enabled && auth.oauth_server.allow_dynamic_registration);
        assert_eq!(auth.oauth_server.authorization_path, "/oauth/consent");
        assert_eq!(auth.sms_test_otp, [("4152127777".to_owned(), "123456".into())]);
    }

    #[test]
    fn addresses_codes_and_limits_reach_auth() {
        let mut settings = ProjectSettings::default();
        let auth = settings.auth(&endpoint(None), &secrets(&["s"]), "http://x");
        assert_eq!((&*auth.external_url, &*auth.jwt_issuer), ("http://x/auth/v1", "http://x/auth/v1"));
        settings.auth.external_url = "https://id.app.test/auth/v1".to_owned();
        settings.auth.sms.template = "{{ .Code }} it is".to_owned();
        settings.auth.sms.otp_length = 8;
        settings.auth.rate_limit.sso = 7;
        let auth = settings.auth(&endpoint(None), &secrets(&["s"]), "http://x");
        assert_eq!(
            (&*auth.external_url, &*auth.jwt_issuer),
            (&*settings.auth.external_url, &*auth.external_url)
        );
        assert_eq!((auth.sms_otp_length, auth.rate_limits.sso, auth.rate_limits.saml_assertion), (8, 7, 15));
        assert_eq!((&*auth.sms.factor_template, auth.sms.factor_otp_length), ("{{ .Code }} it is", 6));
        settings.auth.jwt_issuer = "https://issuer.test".to_owned();
        settings.auth.mfa.phone_messages.otp_length = Some(9);
        settings.auth.mfa.phone_messages.template = Some("{{ .Code }}!".to_owned());
        let auth = settings.auth(&endpoint(None), &secrets(&["s"]), "http://x");
        assert_eq!(auth.jwt_issuer, "https://issuer.test");
        assert_eq!((&*auth.sms.factor_template, auth.sms.factor_otp_length), ("{{ .Code }}!", 9));
    }

    #[test]
    fn limits_and_features_reach_storage() {
        // As an earlier version wrote them, with something new.
        let stored = serde_json::json!({ "storage": {
            "enabled": true, "file_size_limit": 7, "images": false, "s3": false, "buckets": [],
            "cdn": { "endpoint": "https://cdn.test", "key": "k" }, "scanner": { "enabled": false },
        } });
        let mut settings: ProjectSettings = serde_json::from_value(stored).unwrap();
        settings.storage.image_megapixels_max = Some(3);
        settings.storage.resumable.open_max = 5;
        settings.storage.multipart.open_max = 6;
        settings.storage.content_sniffing = false;
        let project = ProjectRef::from_random([7; 20]);
        let storage = settings.storage(
            &project,
            Tenancy::Dedicated,
            &endpoint(None),
            &secrets(&["s"]),
            ("http://x", false),
        );
        assert!(!storage.images.enabled && !storage.s3.enabled && !storage.sniff_types);
        assert_eq!((storage.file_size_limit, storage.images.pixels_max), (7, Some(3_000_000)));
        assert_eq!((storage.open_resumable_max, storage.open_multipart_max), (5, 6));
        assert_eq!(storage.resumable_time, Duration::from_secs(24 * 3600));
        assert_eq!(storage.multipart_time, Duration::from_secs(7 * 24 * 3600));
        assert_eq!(storage.scans, storage::ScanSettings { enabled: Some(false), takes_unscanned: None });
        let caches = settings.storage.cdn.caches(outbound::Client::default()).unwrap();
        assert_eq!((&*caches.endpoint, caches.key.unwrap().expose()), ("https://cdn.test", "k"));
        assert!(ProjectSettings::default().storage.cdn.caches(outbound::Client::default()).is_none());
    }

    #[test]
    fn providers_reach_auth() {
        let stored = serde_json::json!({ "auth": { "external": {
            "providers": { "github": { "enabled": true, "client_id": "a, b", "secret": "s", "url": "https://git.test" } },
            "custom_max": 3, "redirect_url": "https://app.test/in", "ios_bundle_id": "test.app",
            "id_token_issuers": { "https://gitlab.test": ["c"] },
        } } });
        let settings: ProjectSettings = serde_json::from_value(stored).unwrap();
        let external = settings.auth(&endpoint(None), &secrets(&["s"]), "http://x").external;
        assert!(external.is_enabled("github") && !external.is_enabled("google"));
        let github = &external.providers["github"];
        assert_eq!(
            (&*github.client_ids, github.secret.expose()),
            (&["a".to_owned(), "b".to_owned()][..], "s")
        );
        assert!(external.automatic_linking && external.custom.enabled);
        assert_eq!(external.custom.max, 3);
        assert_eq!((&*external.redirect_url, &*external.ios_bundle_id), ("https://app.test/in", "test.app"));
        assert_eq!(external.id_token_issuers["https://gitlab.test"], ["c"]);
    }

    #[test]
    fn functions_are_for_projects_with_a_database_of_their_own() {
        let stored = serde_json::json!({ "auth": { "hook": {
            "custom_access_token": "pg-functions://postgres/public/claims",
            "send_sms": { "uri": "https://sms.test/x", "secrets": "v1,whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" },
        } } });
        let settings: ProjectSettings = serde_json::from_value(stored).unwrap();
        let own = settings.auth(&endpoint(None), &secrets(&["s"]), "http://x").hooks;
        assert!(own.custom_access_token.is_some_and(|hook| hook.is_function()) && own.send_sms.is_some());
        let pooled = endpoint(Some(model::SchemaName::of_app(model::AppId(57))));
        let shared = settings.auth(&pooled, &secrets(&["s"]), "http://x").hooks;
        assert!(shared.custom_access_token.is_none() && shared.send_sms.is_some());
    }

    fn secrets(texts: &[&str]) -> Vec<SigningKey> {
        texts.iter().map(|text| key(HS256, text)).collect()
    }

    fn key(algorithm: &str, material: &str) -> SigningKey {
        SigningKey {
            id: uuid::Uuid::nil(),
            algorithm: algorithm.to_owned(),
            status: catalog::KeyStatus::InUse,
            material: material.to_owned(),
            created_at: String::new(),
        }
    }

    #[test]
    fn several_keys_become_a_set_without_private_parts() {
        assert_eq!(jwt_secret(&[]), None);
        assert_eq!(jwt_secret(&secrets(&["one"])), Some(b"one".to_vec()));
        let several = String::from_utf8(jwt_secret(&secrets(&["one", "two"])).unwrap()).unwrap();
        assert!(several.starts_with(r#"{"keys":[{"kty":"oct""#), "{several}");
        let private = token::new_es256_jwk("k");
        let mut keys = secrets(&["one"]);
        keys.push(key("ES256", &private.to_string()));
        let both = String::from_utf8(jwt_secret(&keys).unwrap()).unwrap();
        assert!(both.contains(private["x"].as_str().unwrap()) && both.contains("\"oct\""), "{both}");
        assert!(!both.contains(private["d"].as_str().unwrap()), "{both}");
        assert_eq!(required_characters("lower_upper_letters_digits").len(), 3);
    }
}
