//! `/passkeys`: making, seeing, naming and removing passkeys, one's own or, for administrators, somebody's.

use super::admin_users::load;
use crate::Auth;
use crate::call::Call;
use crate::flow::authenticator_name;
use crate::flow::session::Assurance;
use crate::guard::{self, Signed};
use crate::refusal::{Outcome, Refusal, database, internal, invalid, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::{all, first};
use crate::store::passkeys::{self, ChallengeKind, Passkey, Taken};
use crate::store::records::User;
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use webauthn::{Attested, Credential, Descriptor, RelyingParty};

const FAILED: &str = "Database error loading passkeys";
const NAME_BYTES_MAX: usize = 120;

pub(super) fn check_enabled(auth: &Auth) -> Outcome<()> {
    if auth.settings.webauthn.passkeys {
        return Ok(());
    }
    Err(refuse(404, "passkey_disabled", "Passkeys are disabled"))
}

/// The site as authenticators know it.
pub(super) fn party(auth: &Auth) -> Outcome<RelyingParty> {
    let party = auth.settings.webauthn.party(&auth.settings.site_url);
    party.ok_or_else(|| {
        internal("Failed to initialize WebAuthn", "neither webauthn.rp_id nor a site URL is set")
    })
}

/// A user who may have passkeys at all.
async fn enter(auth: &Auth, call: &Call) -> Outcome<Signed> {
    let signed = guard::user(auth, call).await?;
    if signed.claims.get("is_anonymous") == Some(&Value::Bool(true)) {
        let message = "Anonymous user not allowed to perform these actions";
        return Err(refuse(403, "no_authorization", message));
    }
    check_enabled(auth)?;
    Ok(signed)
}

/// Whoever has a second factor must have used it to add or remove a way in.
fn check_assurance(signed: &Signed) -> Outcome<()> {
    let level = Assurance::of(signed.session.as_ref().and_then(|session| session.aal.as_deref()));
    if level < signed.user.possible_assurance() {
        let message = "AAL2 session is required to manage passkeys when MFA is enabled";
        return Err(refuse(403, "insufficient_aal", message));
    }
    Ok(())
}

fn check_registrable(signed: &Signed) -> Outcome<()> {
    if signed.user.is_sso_user {
        return Err(refuse(422, "validation_failed", "SSO users cannot register passkeys"));
    }
    check_assurance(signed)
}

fn too_many() -> Refusal {
    refuse(422, "too_many_passkeys", "Maximum number of passkeys reached")
}

/// What authenticators call a user.
pub(super) fn names(user: &User) -> (String, String) {
    let name = if user.email().is_empty() { user.phone() } else { user.email() }.to_owned();
    let metadata = user.user_metadata();
    let shown = metadata.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let shown = shown.map_or_else(|| name.clone(), |name| name.chars().take(64).collect());
    (name, shown)
}

pub(super) fn descriptor(passkey: &Passkey) -> Descriptor {
    let transports = serde_json::from_value(passkey.transports.clone()).unwrap_or_default();
    Descriptor { id: passkey.credential_id.clone(), transports }
}

/// The challenge in what was stored with it.
pub(super) fn challenge_of(data: &Value) -> Vec<u8> {
    let text = data.get("challenge").and_then(Value::as_str).unwrap_or_default();
    B64.decode(text).unwrap_or_default()
}

/// The form in which a challenge is stored, as the reference does.
pub(super) fn session_data(party: &RelyingParty, challenge: &[u8], user: Option<Uuid>) -> Value {
    let verification = if party.requires_verification { "required" } else { "preferred" };
    let mut data = json!({
        "challenge": B64.encode(challenge), "rpId": party.id, "userVerification": verification,
    });
    if let Some(user) = user {
        use base64::engine::general_purpose::STANDARD;
        data["user_id"] = Value::from(STANDARD.encode(user.to_string()));
    }
    data
}

pub(super) async fn registration_options(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = enter(auth, call).await?;
    check_registrable(&signed)?;
    let (settings, user) = (&auth.settings.webauthn, &signed.user);
    let rows = auth.db.one(passkeys::of_user(user.id)).await.map_err(database(FAILED))?;
    let there: Vec<Passkey> = all(&rows).map_err(database(FAILED))?;
    if there.len() >= settings.max_passkeys_per_user {
        return Err(too_many());
    }
    let (party, challenge, id) = (party(auth)?, token::random_bytes::<32>(), Uuid::new_v4());
    let exclude: Vec<_> = there.iter().map(descriptor).collect();
    let (handle, (name, display_name)) = (user.id.to_string(), names(user));
    let named = webauthn::User { handle: handle.as_bytes(), name: &name, display_name: &display_name };
    let timeout = timeout_ms(auth);
    let options = webauthn::creation_options(&party, &named, &challenge, timeout, &exclude, true);
    let data = session_data(&party, &challenge, Some(user.id));
    let kind = ChallengeKind::Registration;
    let steps = passkeys::challenge(id, kind, Some(user.id), &data, call.now, settings.challenge_expiry);
    auth.db.run(steps.into()).await.map_err(database("Database error storing challenge"))?;
    Ok(offered(auth, call, id, &options))
}

pub(super) fn timeout_ms(auth: &Auth) -> u64 {
    u64::try_from(auth.settings.webauthn.challenge_expiry.as_millis()).unwrap_or(u64::MAX)
}

/// The answer that asks the browser.
pub(super) fn offered(auth: &Auth, call: &Call, id: Uuid, options: &Value) -> Response<Body> {
    let expires_at = call.now.plus(auth.settings.webauthn.challenge_expiry).unix();
    reply::ok(&json!({ "challenge_id": id, "options": options, "expires_at": expires_at }))
}

/// What a browser sends back.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    challenge_id: String,
    #[serde(default)]
    credential: Option<Value>,
}

impl Answer {
    /// The id of the challenge and the credential.
    pub(super) fn parts<T: serde::de::DeserializeOwned>(self) -> Outcome<(Uuid, Result<T, Refusal>)> {
        if self.challenge_id.is_empty() {
            return Err(invalid("challenge_id is required"));
        }
        let credential = self.credential.ok_or_else(|| invalid("credential is required"))?;
        let id =
            Uuid::parse_str(&self.challenge_id).map_err(|_| invalid("challenge_id must be a valid UUID"))?;
        let bad = |_| refuse(400, "webauthn_verification_failed", "Invalid credential response");
        Ok((id, serde_json::from_value(credential).map_err(bad)))
    }
}

/// Takes the challenge, whatever the answer to it is worth. `user` is whom it was made for.
pub(super) async fn take(
    auth: &Auth,
    call: &Call,
    id: Uuid,
    kind: ChallengeKind,
    user: Option<Uuid>,
) -> Outcome<Vec<u8>> {
    let failed = database("Database error consuming challenge");
    let rows = auth.db.one(passkeys::take_challenge(id, kind, user)).await.map_err(failed)?;
    let taken: Option<Taken> = first(&rows).map_err(database("Database error consuming challenge"))?;
    let Some(taken) = taken else {
        let message = "Challenge not found or already used";
        return Err(refuse(400, "webauthn_challenge_not_found", message));
    };
    if call.now > taken.expires_at {
        return Err(refuse(400, "webauthn_challenge_expired", "Challenge has expired"));
    }
    Ok(challenge_of(&taken.session_data))
}

/// A proof or a new credential that does not hold. What exactly is wrong goes to the log.
pub(super) fn unproved(error: webauthn::Error) -> Refusal {
    tracing::info!(%error, "a credential was refused");
    refuse(400, "webauthn_verification_failed", "Credential verification failed")
}

pub(super) async fn registration_verify(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = enter(auth, call).await?;
    check_registrable(&signed)?;
    let answer: Answer = call.json()?;
    let (id, credential) = answer.parts::<Credential<Attested>>()?;
    let user = &signed.user;
    let challenge = take(auth, call, id, ChallengeKind::Registration, Some(user.id)).await?;
    let made = webauthn::register(&party(auth)?, &challenge, &credential?).map_err(unproved)?;
    let name = authenticator_name::of(Uuid::from_bytes(made.aaguid));
    let (id, room) = (Uuid::new_v4(), auth.settings.webauthn.max_passkeys_per_user);
    // The user is locked, so that two registrations at once do not both find room.
    let lock = crate::store::users::by_id(user.id).locking("u");
    let first_steps = vec![lock, passkeys::insert(id, user.id, &made, name, room, call.now)];
    let (unit, results) = auth.db.begin(first_steps).await.map_err(unstored)?;
    let kept: Option<Passkey> = results.get(1).map(first).transpose().map_err(unstored)?.flatten();
    let Some(kept) = kept else {
        unit.rollback().await.map_err(unstored)?;
        return Err(too_many());
    };
    let audit = auth.audit(&Actor::user(user), "passkey_created", Some(json!({ "passkey_id": id })), call);
    unit.commit(audit).await.map_err(unstored)?;
    Ok(reply::ok(&kept.shown()))
}

/// A credential that somebody has already.
fn unstored(error: pg::Error) -> Refusal {
    let constraint = error.db().and_then(|report| report.constraint.as_deref());
    if constraint == Some("webauthn_credentials_credential_id_key") {
        let message = "This credential is already registered";
        return refuse(422, "webauthn_credential_exists", message);
    }
    database("Database error creating passkey")(error)
}

async fn listed(auth: &Auth, user: Uuid) -> Outcome<Response<Body>> {
    let rows = auth.db.one(passkeys::of_user(user)).await.map_err(database(FAILED))?;
    let there: Vec<Passkey> = all(&rows).map_err(database(FAILED))?;
    Ok(reply::ok(&there.iter().map(Passkey::shown).collect::<Value>()))
}

pub(super) async fn list(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = enter(auth, call).await?;
    listed(auth, signed.user.id).await
}

pub(super) async fn admin_list(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    check_enabled(auth)?;
    listed(auth, load(auth, call).await?.id).await
}

fn path_id(call: &Call, segment: usize) -> Outcome<Uuid> {
    let id = call.path.split('/').nth(segment).unwrap_or_default();
    Uuid::parse_str(id).map_err(|_| not_found())
}

fn not_found() -> Refusal {
    refuse(404, "validation_failed", "Passkey not found")
}

#[derive(Debug, Deserialize)]
struct Name {
    #[serde(default)]
    friendly_name: String,
}

pub(super) async fn rename(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = enter(auth, call).await?;
    let id = path_id(call, 2)?;
    let Name { friendly_name } = call.json()?;
    if friendly_name.is_empty() {
        return Err(invalid("friendly_name is required"));
    }
    if friendly_name.len() > NAME_BYTES_MAX {
        return Err(invalid("friendly_name must be 120 characters or less"));
    }
    let step = passkeys::rename(id, signed.user.id, &friendly_name, call.now);
    let (actor, traits) = (Actor::user(&signed.user), json!({ "passkey_id": id }));
    let renamed = change(auth, call, step, &actor, "passkey_updated", traits).await?;
    Ok(reply::ok(&renamed.shown()))
}

pub(super) async fn delete(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = enter(auth, call).await?;
    check_assurance(&signed)?;
    let id = path_id(call, 2)?;
    let step = passkeys::delete(id, signed.user.id);
    change(auth, call, step, &Actor::user(&signed.user), "passkey_deleted", json!({ "passkey_id": id }))
        .await?;
    Ok(reply::no_content())
}

pub(super) async fn admin_delete(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    check_enabled(auth)?;
    let user = load(auth, call).await?.id;
    let id = path_id(call, 5)?;
    let traits = json!({ "user_id": user, "passkey_id": id });
    change(auth, call, passkeys::delete(id, user), &admin.actor, "passkey_deleted", traits).await?;
    Ok(reply::no_content())
}

/// Changes one passkey, which comes back, and notes it.
async fn change(
    auth: &Auth,
    call: &Call,
    step: crate::store::db::Step,
    actor: &Actor,
    action: &'static str,
    traits: Value,
) -> Outcome<Passkey> {
    let failed = || database("Database error updating passkey");
    let (unit, results) = auth.db.begin(vec![step]).await.map_err(failed())?;
    let changed: Option<Passkey> = results.first().map(first).transpose().map_err(failed())?.flatten();
    let Some(changed) = changed else {
        unit.rollback().await.map_err(failed())?;
        return Err(not_found());
    };
    unit.commit(auth.audit(actor, action, Some(traits), call)).await.map_err(failed())?;
    Ok(changed)
}
