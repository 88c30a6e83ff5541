//! `/factors`: enrolling and removing second factors.

use crate::Auth;
use crate::call::Call;
use crate::flow::session::Assurance;
use crate::flow::{address, totp};
use crate::guard::{self, Signed};
use crate::handover;
use crate::moment::Moment;
use crate::notice;
use crate::refusal::{Outcome, database, internal, invalid, refuse};
use crate::reply;
use crate::settings::Notification;
use crate::store::audit::Actor;
use crate::store::factors::{self, NewFactor};
use crate::store::records::{Factor, Session};
use crate::store::sessions;
use axum::body::Body;
use http::{Response, Uri};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Unverified factors without a challenge are forgotten after this long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
const FAILED: &str = "Database error updating factors";

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    friendly_name: Option<String>,
    #[serde(default)]
    factor_type: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    phone: Option<String>,
}

/// A user who is somebody, with the session that a factor needs.
pub(super) async fn enter(auth: &Auth, call: &Call) -> Outcome<(Signed, Session)> {
    let mut signed = guard::user(auth, call).await?;
    if signed.claims.get("is_anonymous") == Some(&Value::Bool(true)) {
        let message = "Anonymous user not allowed to perform these actions";
        return Err(refuse(403, "no_authorization", message));
    }
    let session = signed.session.take();
    let session = session.ok_or_else(|| refuse(403, "session_not_found", "A valid session is required"))?;
    Ok((signed, session))
}

/// The factor that a path's segment names, if it is the user's.
pub(super) fn find<'a>(factors: &'a [Factor], call: &Call, segment: usize) -> Outcome<&'a Factor> {
    let id = call.path.split('/').nth(segment).unwrap_or_default();
    let id =
        Uuid::parse_str(id).map_err(|_| refuse(404, "validation_failed", "factor_id must be an UUID"))?;
    let found = factors.iter().find(|factor| factor.id == id);
    found.ok_or_else(|| refuse(404, "mfa_factor_not_found", "Factor not found"))
}

pub(super) async fn enroll(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let (signed, session) = enter(auth, call).await?;
    let params: Params = call.json()?;
    let mfa = &auth.settings.mfa;
    let name = params.friendly_name.clone().unwrap_or_default();
    let kind = params.factor_type.as_deref().unwrap_or_default();
    let phone = match kind {
        "totp" if !mfa.totp_enroll => {
            return Err(refuse(422, "mfa_totp_enroll_not_enabled", "MFA enroll is disabled for TOTP"));
        }
        "phone" if !mfa.phone_enroll => {
            return Err(refuse(422, "mfa_phone_enroll_not_enabled", "MFA enroll is disabled for Phone"));
        }
        "webauthn" if !auth.settings.webauthn.mfa_enroll => {
            return Err(refuse(
                422,
                "mfa_webauthn_enroll_not_enabled",
                "MFA enroll is disabled for WebAuthn",
            ));
        }
        "totp" | "webauthn" => None,
        "phone" => {
            let given = params.phone.as_deref().filter(|phone| !phone.is_empty());
            Some(address::phone(
                given.ok_or_else(|| invalid("Phone number required to enroll Phone factor"))?,
            )?)
        }
        _ => return Err(invalid("factor_type needs to be totp, phone, or webauthn")),
    };
    check_room(auth, call, &signed, &session, &name, phone.as_deref())?;
    let secret = totp::new_secret();
    let factor = NewFactor {
        id: Uuid::new_v4(),
        user: signed.user.id,
        name: &name,
        kind: match kind {
            "phone" => "phone",
            "webauthn" => "webauthn",
            _ => "totp",
        },
        secret: (kind == "totp").then_some(secret.as_str()),
        phone: phone.as_deref(),
    };
    let stale = call.now.minus(FORGOTTEN_AFTER);
    let mut steps = vec![factors::delete_stale(signed.user.id, stale)];
    for same in signed.user.factors.iter().filter(|f| phone.is_some() && f.phone == phone && !f.is_verified())
    {
        steps.push(factors::delete(same.id, signed.user.id));
    }
    steps.push(factors::insert(&factor, call.now));
    let traits = json!({ "factor_id": factor.id, "factor_type": factor.kind });
    steps.extend(auth.audit(&Actor::user(&signed.user), "factor_in_progress", Some(traits), call));
    auth.db.run(steps).await.map_err(database(FAILED))?;
    let mut answer = json!({ "id": factor.id, "type": factor.kind, "friendly_name": name });
    match phone {
        Some(_) => answer["phone"] = json!(params.phone),
        None if kind == "webauthn" => {}
        None => {
            let issuer = params.issuer.filter(|issuer| !issuer.is_empty()).unwrap_or_else(|| site_host(auth));
            let uri = totp::uri(&issuer, signed.user.email(), &secret);
            answer["totp"] = json!({ "qr_code": picture(&uri)?, "secret": secret, "uri": uri });
        }
    }
    Ok(reply::ok(&answer))
}

fn site_host(auth: &Auth) -> String {
    let uri = auth.settings.site_url.parse::<Uri>().ok();
    uri.and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_default()
}

fn picture(uri: &str) -> Outcome<String> {
    let code = QrCode::with_error_correction_level(uri, EcLevel::M)
        .map_err(|e| internal("Error generating QR Code", e))?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(200, 200).build())
}

/// Refuses another factor where there is no room for it, or no right to it.
fn check_room(
    auth: &Auth,
    call: &Call,
    signed: &Signed,
    session: &Session,
    name: &str,
    phone: Option<&str>,
) -> Outcome<()> {
    let mfa = &auth.settings.mfa;
    let list = &signed.user.factors;
    let same_phone = |factor: &&Factor| phone.is_some() && factor.phone.as_deref() == phone;
    if list.iter().filter(same_phone).any(Factor::is_verified) {
        let message = "A verified phone factor already exists, unenroll the existing factor to continue";
        return Err(refuse(422, "mfa_verified_factor_exists", message));
    }
    let forgotten = |factor: &&Factor| is_forgotten(factor, call.now);
    let counted: Vec<&Factor> = list.iter().filter(|f| !forgotten(f) && !same_phone(f)).collect();
    if counted.iter().any(|factor| factor.friendly_name.as_deref().unwrap_or_default() == name) {
        let message = format!("A factor with the friendly name {name:?} for this user already exists");
        return Err(refuse(422, "mfa_factor_name_conflict", message));
    }
    let verified = counted.iter().filter(|factor| factor.is_verified()).count();
    if counted.len() >= mfa.max_enrolled_factors || verified >= mfa.max_verified_factors {
        let message = "Maximum number of verified factors reached, unenroll to continue";
        return Err(refuse(422, "too_many_enrolled_mfa_factors", message));
    }
    if verified > 0 && Assurance::of(session.aal.as_deref()) < Assurance::Aal2 {
        return Err(refuse(403, "insufficient_aal", "AAL2 required to enroll a new factor"));
    }
    Ok(())
}

fn is_forgotten(factor: &Factor, now: Moment) -> bool {
    !factor.is_verified()
        && factor.last_challenged_at.is_none()
        && now > factor.created_at.plus(FORGOTTEN_AFTER)
}

pub(super) async fn unenroll(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let (signed, session) = enter(auth, call).await?;
    let factor = find(&signed.user.factors, call, 2)?;
    if factor.is_verified() && Assurance::of(session.aal.as_deref()) < Assurance::Aal2 {
        return Err(refuse(422, "insufficient_aal", "AAL2 required to unenroll verified factor"));
    }
    let user = signed.user.id;
    let mut steps = vec![factors::delete(factor.id, user)];
    let traits = json!({ "factor_id": factor.id, "factor_status": factor.status, "session_id": session.id });
    steps.extend(auth.audit(&Actor::user(&signed.user), "factor_unenrolled", Some(traits), call));
    steps.extend(sessions::downgrade(user, factor.id, method(&factor.factor_type), call.now));
    if factor.is_verified() {
        let details = json!({ "factor_type": factor.factor_type });
        let what = Notification::MfaFactorUnenrolled;
        steps.extend(notice::step(auth, call, what, &signed.user, signed.user.email(), details));
    }
    handover::run(auth, call, steps).await.map_err(handover::failed(FAILED))?;
    Ok(reply::ok(&json!({ "id": factor.id })))
}

/// The method that a session is noted with when a factor of this type was used.
pub(super) fn method(kind: &str) -> &'static str {
    match kind {
        "phone" => "mfa/phone",
        "webauthn" => "mfa/webauthn",
        _ => "totp",
    }
}
