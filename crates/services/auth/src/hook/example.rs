//! What a hook is sent when it is tried: the payload of a real request, about somebody who does not exist, or who does.

use crate::moment::Moment;
use crate::settings::Settings;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const ADDRESS: &str = "ann@example.com";
/// A number that nobody has.
const PHONE: &str = "15555550100";
const CODE: &str = "123456";
/// Nobody can have typed it: a hash that no token has.
const HASH: &str = "00000000000000000000000000000000000000000000000000000000";

/// Somebody who signed up just now.
pub(super) fn user(now: Moment) -> Value {
    let id = Uuid::new_v4();
    json!({
        "id": id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": ADDRESS,
        "phone": "",
        "app_metadata": { "provider": "email", "providers": ["email"] },
        "user_metadata": { "name": "Ann Example" },
        "identities": [{
            "identity_id": Uuid::new_v4(),
            "id": id,
            "user_id": id,
            "identity_data": { "sub": id, "email": ADDRESS, "email_verified": false, "phone_verified": false },
            "provider": "email",
            "last_sign_in_at": now,
            "created_at": now,
            "updated_at": now,
            "email": ADDRESS,
        }],
        "created_at": now,
        "updated_at": now,
        "is_anonymous": false,
    })
}

/// The name in `metadata` and the rest of the payload of a hook, by its name in `config.toml`.
pub(super) fn input(
    hook: &str,
    user: Value,
    settings: &Settings,
    now: Moment,
) -> (&'static str, Map<String, Value>) {
    let id = user["id"].clone();
    let (name, input) = match hook {
        "custom_access_token" => (
            "customize-access-token",
            json!({
                "user_id": id,
                "claims": claims(&user, settings, now),
                "authentication_method": "password",
            }),
        ),
        "password_verification_attempt" => ("password-verification", json!({ "user_id": id, "valid": true })),
        "mfa_verification_attempt" => (
            "mfa-verification",
            json!({ "user_id": id, "factor_id": Uuid::new_v4(), "factor_type": "totp", "valid": true }),
        ),
        "before_user_created" => ("before-user-created", json!({ "user": user })),
        "after_user_created" => ("after-user-created", json!({ "user": user })),
        "send_sms" => {
            let known = user["phone"].as_str().filter(|phone| !phone.is_empty());
            let phone = known.unwrap_or(PHONE).to_owned();
            ("send-sms", json!({ "user": user, "sms": { "otp": CODE, "phone": phone } }))
        }
        _ => ("send-email", json!({ "user": user, "email_data": email_data(settings) })),
    };
    (name, input.as_object().cloned().unwrap_or_default())
}

fn claims(user: &Value, settings: &Settings, now: Moment) -> Value {
    json!({
        "iss": settings.jwt_issuer,
        "sub": user["id"],
        "aud": user["aud"],
        "exp": now.plus(settings.jwt_expiry).unix(),
        "iat": now.unix(),
        "email": user["email"],
        "phone": user["phone"],
        "app_metadata": user["app_metadata"],
        "user_metadata": user["user_metadata"],
        "role": user["role"],
        "aal": "aal1",
        "amr": [{ "method": "password", "timestamp": now.unix() }],
        "session_id": Uuid::new_v4(),
        "is_anonymous": user["is_anonymous"],
    })
}

fn email_data(settings: &Settings) -> Value {
    json!({
        "token": CODE,
        "token_hash": HASH,
        "redirect_to": settings.site_url,
        "email_action_type": "signup",
        "site_url": settings.external_url,
        "token_new": "",
        "token_hash_new": "",
        "old_email": "",
        "old_phone": "",
        "provider": "",
        "factor_type": "",
    })
}
