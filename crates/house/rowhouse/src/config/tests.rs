use super::*;
use std::time::Duration;

fn read(text: &str) -> Result<(ProjectConfig, Vec<String>), String> {
    let environment = |name: &str| match name {
        "SITE" => Some("https://app.test".to_owned()),
        "PORT" => Some("7000".to_owned()),
        _ => None,
    };
    parse(text, &environment).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_means_the_clis_defaults() {
    let (config, warnings) = read("").unwrap();
    assert_eq!(
        (config.api.port, config.db.port, config.studio_port, config.catcher.port.unwrap_or(54324)),
        (54321, 54322, 54323, 54324)
    );
    assert_eq!(config.api.schemas, ["public", "graphql_public"]);
    assert_eq!(config.api.max_rows, 1000);
    assert!(config.auth.enable_signup && !config.auth.email.enable_confirmations);
    assert_eq!(config.db.seed_paths, ["./seed.sql"]);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn values_are_read_and_variables_filled_in() {
    let (config, warnings) = read(
        r#"
        project_id = "demo"
        [api]
        port = "env(PORT)"
        schemas = ["public", "factory_app"]
        max_rows = 5
        [db]
        port = 6000
        [db.seed]
        sql_paths = ["./seeds/*.sql"]
        [inbucket]
        port = 6001
        [auth]
        site_url = "env(SITE)"
        jwt_expiry = 60
        password_requirements = "letters_digits"
        [auth.email]
        enable_confirmations = true
        max_frequency = "1m"
        [auth.sessions]
        timebox = "24h"
        "#,
    )
    .unwrap();
    assert_eq!(config.project_id.as_deref(), Some("demo"));
    assert_eq!(
        (config.api.port, config.api.max_rows, config.db.port, config.catcher.port.unwrap_or(54324)),
        (7000, 5, 6000, 6001)
    );
    assert_eq!(config.api.schemas, ["public", "factory_app"]);
    assert_eq!(config.auth.site_url, "https://app.test");
    assert_eq!(config.auth.email.max_frequency, Duration::from_secs(60));
    assert_eq!(config.auth.session_timebox, Some(Duration::from_secs(86_400)));
    assert!(config.auth.email.enable_confirmations);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn unknown_keys_and_missing_variables_are_told() {
    let (config, warnings) = read(
        "colour = 1\n[api]\nporte = 1\n[auth]\nsite_url = \"env(NOWHERE)\"\n[storage]\nenabled = true\n[surprise]\nx = 1",
    )
    .unwrap();
    assert_eq!(config.auth.site_url, "http://127.0.0.1:3000");
    assert_eq!(
        warnings,
        [
            "api.porte: unknown, ignored",
            "auth.site_url: the environment has no variable NOWHERE",
            "colour: unknown, ignored",
            "surprise: unknown, ignored",
        ]
    );
}

#[test]
fn wrong_values_name_their_field() {
    for (text, message) in [
        ("[api]\nport = 70000", "api.port: expected a whole number from 1 to 65535, found 70000"),
        ("[api]\nport = \"x\"", "api.port: expected a whole number from 1 to 65535, found the text \"x\""),
        ("[auth]\nenable_signup = 3", "auth.enable_signup: expected true or false, found 3"),
        (
            "[auth.email]\nmax_frequency = 5",
            "auth.email.max_frequency: expected a duration such as \"1s\" or \"24h\", found 5",
        ),
        (
            "[auth]\njwt_secret = \"short\"",
            "auth.jwt_secret: expected at least 32 characters, found 5 characters",
        ),
        ("api = 1", "api: expected a table, found 1"),
        ("[api]\nschemas = [1]", "api.schemas: expected a list of texts, found a list"),
    ] {
        assert_eq!(read(text).unwrap_err(), message);
    }
    assert!(
        read("[auth]\npassword_requirements = \"strong\"")
            .unwrap_err()
            .contains("one of \"\", \"letters_digits\"")
    );
    assert!(read("not toml").unwrap_err().starts_with("it is not TOML"));
}

#[test]
fn factors_are_off_unless_the_file_says_otherwise() {
    let mfa = read("").unwrap().0.auth.mfa;
    assert!(!mfa.totp.enroll_enabled && !mfa.totp.verify_enabled && mfa.max_enrolled_factors == 10);
    let (config, warnings) = read(
        r#"
        [auth.mfa]
        max_enrolled_factors = 4
        [auth.mfa.totp]
        enroll_enabled = true
        verify_enabled = true
        [auth.mfa.phone]
        verify_enabled = true
        otp_length = 6
        template = "Your code"
        max_frequency = "5s"
        "#,
    )
    .unwrap();
    let mfa = config.auth.mfa;
    assert!(mfa.totp.enroll_enabled && mfa.totp.verify_enabled);
    assert!(!mfa.phone.enroll_enabled && mfa.phone.verify_enabled);
    assert_eq!(mfa.max_enrolled_factors, 4);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(
        read("[auth.mfa.totp]\nenroll_enabled = true").unwrap_err(),
        "auth.mfa.totp.enroll_enabled: expected verify_enabled = true with it, found verify_enabled = false"
    );
}

#[test]
fn the_oauth_server_is_read() {
    let oauth = read("").unwrap().0.auth.oauth_server;
    assert!(!oauth.enabled && !oauth.allow_dynamic_registration);
    assert_eq!(oauth.authorization_url_path, "/oauth/consent");
    let (config, warnings) = read(
        "[auth.oauth_server]\nenabled = true\nallow_dynamic_registration = true\nauthorization_url_path = \"/ask\"",
    )
    .unwrap();
    let oauth = config.auth.oauth_server;
    assert!(oauth.enabled && oauth.allow_dynamic_registration);
    assert_eq!(oauth.authorization_url_path, "/ask");
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn hooks_are_functions_of_the_database_or_servers() {
    const SECRETS: &str = "v1,whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let uri = "pg-functions://postgres/public/my_hook";
    let hook = |name: &str, uri: &str, secrets: &str| {
        read(&format!("[auth.hook.{name}]\nenabled = true\nuri = {uri:?}\nsecrets = {secrets:?}"))
    };
    let (config, warnings) = hook("custom_access_token", uri, "").unwrap();
    let functions = config.auth.hook.functions();
    assert_eq!((functions, warnings), (vec!["custom_access_token"], Vec::<String>::new()));
    let (config, _) = hook("after_user_created", "https://hooks.test/x", SECRETS).unwrap();
    assert!(config.auth.hook.functions().is_empty());
    assert!(config.auth.hook.settings(true).after_user_created.is_some());
    assert!(config.auth.hook.after_user_created.is_some_and(|entry| entry.secrets.expose() == SECRETS));
    let (config, _) = read("[auth.hook.send_sms]\nenabled = false\nuri = \"https://hooks.test/x\"").unwrap();
    assert!(config.auth.hook.send_sms.is_none());
    for (uri, secrets, field) in [
        ("https://hooks.test/x", "", "secrets: expected v1,whsec_"),
        ("https://hooks.test/x", "hunter2", "secrets: expected v1,whsec_"),
        ("http://hooks.test/hunter2", SECRETS, "uri: expected https://"),
        ("pg-functions://postgres/x", "", "uri: expected pg-functions://"),
        (uri, SECRETS, "secrets: expected no secrets"),
        ("", "", "uri: expected https://"),
    ] {
        let error = hook("send_email", uri, secrets).unwrap_err();
        assert!(error.starts_with(&format!("auth.hook.send_email.{field}")), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn test_codes_belong_to_numbers() {
    let (config, warnings) =
        read("[auth.sms.test_otp]\n4152127777 = \"023456\"\n\"+4915111\" = 654321").unwrap();
    let codes: Vec<_> = config.auth.sms.test_otp.iter().map(|(n, c)| (n.as_str(), c.expose())).collect();
    assert_eq!(codes, [("4152127777", "023456"), ("4915111", "654321")]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(
        read("[auth.sms.test_otp]\n4152127777 = \"secret\"").unwrap_err(),
        "auth.sms.test_otp.4152127777: expected a code of 1 to 10 digits, found something else"
    );
    assert!(read("[auth.sms.test_otp]\nme = \"1\"").unwrap_err().contains("a phone number as the key"));
}

#[test]
fn providers_are_read_with_their_secrets() {
    let (config, warnings) = read(
        r#"
        [auth.external.github]
        enabled = true
        client_id = "id"
        secret = "env(SITE)"
        redirect_uri = ""
        [auth.external.apple]
        enabled = false
        client_id = ""
        secret = "env(NOBODY)"
        skip_nonce_check = true
        email_optional = true
        [auth.external.myspace]
        enabled = true
        [auth.linking]
        automatic = false
        [auth.linking.domains]
        github = "work"
        [auth.custom_providers]
        max = 5
        "#,
    )
    .unwrap();
    let external = &config.auth.external;
    assert_eq!(external.providers["github"].secret.expose(), "https://app.test");
    assert!(external.providers["github"].enabled && external.providers["apple"].email_optional);
    assert!(!external.automatic_linking && external.custom_enabled);
    assert_eq!((external.linking_domains["github"].as_str(), external.custom_max), ("work", 5));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().any(|w| w.contains("auth.external.myspace")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.contains("NOBODY")), "{warnings:?}");
    assert!(format!("{:?}", external.providers["github"]).contains("(secret)"));
    let wrong = read("[auth.external.gitlab]\nurl = \"git.test\"").unwrap_err();
    assert!(wrong.contains("auth.external.gitlab.url"), "{wrong}");
}

#[test]
fn passkeys_and_sessions_are_read() {
    let (config, warnings) = read(
        "[auth.passkey]
        enabled = true
        [auth.webauthn]
        rp_display_name = \"App\"
        rp_id = \"localhost\"
        rp_origins = [\"http://127.0.0.1:3000\"]
        [auth.mfa.web_authn]
        enroll_enabled = true
        verify_enabled = true
        [auth.sessions]
        single_per_user = true
        tags = [\"web\", \"app\"]
        allow_low_aal = \"15m\"
        refresh_token_algorithm_version = 2
        refresh_token_upgrade_percentage = 50",
    )
    .unwrap();
    assert_eq!(warnings, [] as [&str; 0]);
    let auth = config.auth;
    assert!(auth.passkeys.enabled && auth.mfa.web_authn.enroll_enabled && auth.sessions.single_per_user);
    assert_eq!((&*auth.passkeys.rp_id, &*auth.passkeys.rp_display_name), ("localhost", "App"));
    assert_eq!(auth.passkeys.rp_origins, ["http://127.0.0.1:3000"]);
    assert_eq!(auth.sessions.tags, ["web", "app"]);
    assert_eq!(auth.sessions.allow_low_aal, Some(Duration::from_secs(900)));
    assert_eq!(auth.sessions.refresh_token_algorithm_version, 2);
    assert_eq!(auth.sessions.refresh_token_upgrade_percentage, 50);
}

#[test]
fn every_key_of_the_clis_auth_section_is_honoured_or_told_of() {
    let (config, warnings) = read(
        r#"
        [auth]
        external_url = "https://id.app.test/auth/v1/"
        jwt_issuer = "https://issuer.test"
        anon_key = "x"
        [auth.mfa.phone]
        enroll_enabled = true
        verify_enabled = true
        otp_length = 8
        template = "Code {{ .Code }}"
        max_frequency = "7s"
        [auth.sms]
        otp_length = 7
        otp_expiry = 90
        test_otp_valid_until = 2027-01-31T12:00:00Z
        [auth.rate_limit]
        sso = 1
        saml_assertion = 2
        mfa = 3
        oauth_register = 4
        passkey = 5
        sms_sent = "10/1m"
        [auth.linking]
        redirect_url = "https://app.test/in"
        [auth.id_tokens]
        ios_bundle_id = "test.app"
        [auth.id_tokens.issuers]
        "https://gitlab.test" = ["one", "two"]
        [auth.third_party.firebase]
        enabled = true
        project_id = "p"
        [auth.third_party.clerk]
        enabled = false
        domain = "x.test"
        "#,
    )
    .unwrap();
    assert_eq!(
        warnings,
        [
            "auth.third_party.firebase: tokens of other services are not taken by this version, ignored",
            "auth.anon_key: the keys that `rowhouse status` names are used instead",
        ]
    );
    let auth = &config.auth;
    assert_eq!(
        (&*auth.external_url, &*auth.jwt_issuer),
        ("https://id.app.test/auth/v1", "https://issuer.test")
    );
    let messages = &auth.mfa.phone_messages;
    assert_eq!((messages.otp_length, messages.max_frequency), (Some(8), Some(Duration::from_secs(7))));
    assert_eq!(messages.template.as_deref(), Some("Code {{ .Code }}"));
    assert_eq!((auth.sms.otp_length, auth.sms.otp_expiry_s), (7, 90));
    let limits = &auth.rate_limit;
    assert_eq!((limits.sso, limits.saml_assertion, limits.mfa, limits.oauth_register), (1, 2, 3, 4));
    assert_eq!((limits.passkey, limits.sms_sent), (5, 10));
    assert_eq!((limits.sms_sent_refill, limits.email_sent), (Some(Duration::from_secs(60)), 30));
    assert_eq!(auth.sms.test_otp_valid_until_s, Some(1_801_396_800));
    let external = &auth.external;
    assert_eq!((&*external.redirect_url, &*external.ios_bundle_id), ("https://app.test/in", "test.app"));
    assert_eq!(external.id_token_issuers["https://gitlab.test"], ["one", "two"]);
    for (text, field) in [
        (
            "[auth.id_tokens.issuers]\n\"https://gitlab.test\" = []",
            "auth.id_tokens.issuers.https://gitlab.test",
        ),
        ("[auth.id_tokens.issuers]\n\"http://gitlab.test\" = [\"x\"]", "auth.id_tokens.issuers.http"),
        ("[auth]\nexternal_url = \"id.app.test\"", "auth.external_url: expected an address"),
        ("[auth.sms]\ntest_otp_valid_until = \"soon\"", "auth.sms.test_otp_valid_until"),
        ("[auth.rate_limit]\nsms_sent = \"10/0s\"", "auth.rate_limit.sms_sent"),
        ("[auth.mfa.phone]\notp_length = 4", "auth.mfa.phone.otp_length"),
    ] {
        assert!(read(text).unwrap_err().starts_with(field), "{text}");
    }
}

#[test]
fn storage_is_read() {
    let storage = read("").unwrap().0.storage;
    assert!(storage.images && storage.s3 && storage.content_sniffing && storage.cdn.endpoint.is_empty());
    let (config, warnings) = read(
        r#"
        [storage]
        file_size_limit = 1000000
        quota_bytes = "10GiB"
        content_sniffing = false
        unicode_keys = true
        signed_upload_url_expiry = "10m"
        [storage.image_transformation]
        enabled = false
        max_size = 500
        max_resolution = 20
        [storage.s3_protocol]
        enabled = false
        upload_expiry = "48h"
        max_open_uploads = 7
        [storage.resumable_uploads]
        expiry = "1h"
        max_open = 9
        [storage.scanner]
        enabled = true
        optional = false
        [storage.cdn]
        endpoint = "https://cdn.example.com/api"
        key = "the key"
        [storage.analytics]
        enabled = false
        max_namespaces = 5
        max_tables = 10
        max_catalogs = 2
        [storage.analytics.buckets.my-warehouse]
        [storage.vector]
        enabled = false
        max_buckets = 10
        max_indexes = 5
        [storage.vector.buckets.documents-openai]
        [storage.buckets.images]
        public = false
        file_size_limit = "50MiB"
        allowed_mime_types = ["image/png"]
        objects_path = "./images"
        "#,
    )
    .unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let storage = config.storage;
    assert!(!storage.images && !storage.s3 && !storage.content_sniffing && storage.unicode_keys);
    assert_eq!((storage.image_side_max, storage.image_megapixels_max), (500, Some(20)));
    assert_eq!((storage.file_size_limit, storage.signed_upload_url_expiry.as_secs()), (1_000_000, 600));
    assert_eq!(storage.quota_bytes, Some(10 << 30));
    assert_eq!((storage.resumable.expiry.as_secs(), storage.resumable.open_max), (3600, 9));
    assert_eq!((storage.multipart.expiry.as_secs(), storage.multipart.open_max), (48 * 3600, 7));
    assert_eq!((storage.scanner.enabled, storage.scanner.optional), (Some(true), Some(false)));
    assert_eq!(
        (&*storage.cdn.endpoint, storage.cdn.key.expose()),
        ("https://cdn.example.com/api", "the key")
    );
    let warnings = read("[storage.vector]\nenabled = true\n[storage.cdn]\nkind = 1").unwrap().1;
    assert_eq!(
        warnings,
        ["storage.vector: there are no such buckets in this version", "storage.cdn.kind: unknown, ignored"]
    );
}

#[test]
fn storage_makes_sense_or_is_refused() {
    for (text, message) in [
        (
            "image_transformation.max_resolution = 51",
            "storage.image_transformation.max_resolution: expected a whole number from 1 to 50, found 51",
        ),
        (
            "image_transformation.max_size = 0",
            "storage.image_transformation.max_size: expected a whole number from 1 to 8192, found 0",
        ),
        (
            "s3_protocol.enabled = \"maybe\"",
            "storage.s3_protocol.enabled: expected true or false, found the text \"maybe\"",
        ),
        (
            "s3_protocol.upload_expiry = \"1h\"",
            "storage.s3_protocol.upload_expiry: expected a duration from 86400s to 31536000s, found 3600s",
        ),
        (
            "signed_upload_url_expiry = 60",
            "storage.signed_upload_url_expiry: expected a duration such as \"1s\" or \"24h\", found 60",
        ),
        (
            "resumable_uploads.max_open = 0",
            "storage.resumable_uploads.max_open: expected a whole number from 1 to 100000, found 0",
        ),
        (
            "cdn.endpoint = \"cdn.example.com\"",
            "storage.cdn.endpoint: expected a URL such as \"https://cdn.example.com/api\", found something else",
        ),
        (
            "cdn.key = \"a\\nb\"",
            "storage.cdn.key: expected a text that fits into a header, found something else",
        ),
        (
            "vector.max_buckets = \"x\"",
            "storage.vector.max_buckets: expected a whole number from 0 to 4294967295, found the text \"x\"",
        ),
        ("file_size_limit = true", "storage.file_size_limit: expected a text, found true"),
    ] {
        assert_eq!(read(&format!("[storage]\n{text}")).unwrap_err(), message);
    }
}
