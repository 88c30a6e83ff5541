//! `/passkeys/authentication`: signing in with a passkey, without saying who one is.

use super::passkeys::{Answer, check_enabled, offered, party, session_data, take, timeout_ms, unproved};
use crate::Auth;
use crate::call::Call;
use crate::issue::NewSession;
use crate::refusal::{Outcome, Refusal, database, refuse};
use crate::store::audit::Actor;
use crate::store::db::{first, last};
use crate::store::passkeys::{self, ChallengeKind, Passkey};
use crate::store::records::User;
use crate::store::users;
use axum::body::Body;
use http::Response;
use serde_json::json;
use uuid::Uuid;
use webauthn::{Assertion, Authenticated, Credential, StoredKey};

const FAILED: &str = "Database error granting user";

pub(super) async fn options(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    check_enabled(auth)?;
    let (party, challenge, id) = (party(auth)?, token::random_bytes::<32>(), Uuid::new_v4());
    let options = webauthn::request_options(&party, &challenge, timeout_ms(auth), &[]);
    let data = session_data(&party, &challenge, None);
    let expiry = auth.settings.webauthn.challenge_expiry;
    let steps = passkeys::challenge(id, ChallengeKind::Authentication, None, &data, call.now, expiry);
    auth.db.run(steps.into()).await.map_err(database("Database error storing challenge"))?;
    Ok(offered(auth, call, id, &options))
}

pub(super) async fn verify(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    check_enabled(auth)?;
    let answer: Answer = call.json()?;
    let (id, credential) = answer.parts::<Credential<Assertion>>()?;
    let challenge = take(auth, call, id, ChallengeKind::Authentication, None).await?;
    let credential = credential?;
    let credential_id = credential.id().map_err(unproved)?;
    let found = auth.db.one(passkeys::by_credential(&credential_id)).await.map_err(database(FAILED))?;
    let passkey: Option<Passkey> = first(&found).map_err(database(FAILED))?;
    // Unknown credentials get the same answer as wrong proofs.
    let passkey = passkey.ok_or_else(|| unproved(webauthn::Error::Signature))?;
    let proof = prove(auth, &challenge, &passkey, &credential)?;
    let rows = auth.db.one(users::by_id(passkey.user_id)).await.map_err(database(FAILED))?;
    let user: Option<User> = first(&rows).map_err(database(FAILED))?;
    let user = user.ok_or_else(|| unproved(webauthn::Error::Signature))?;
    check_user(call, &user)?;
    let session = NewSession::new(user.id, "passkey");
    let used = passkeys::used(passkey.id, proof.counter, proof.is_backed_up, call.now);
    let (unit, results) = auth.db.begin(vec![used]).await.map_err(database(FAILED))?;
    if results.first().is_none_or(|rows| rows.is_empty()) {
        // Somebody else has used this or a later counter by now.
        unit.rollback().await.map_err(database(FAILED))?;
        return Err(unproved(webauthn::Error::Counter));
    }
    let traits = json!({ "passkey_id": passkey.id });
    let mut steps = auth.audit(&Actor::user(&user), "login", Some(traits), call);
    steps.extend(session.steps(call));
    let results = unit.commit(steps).await.map_err(database(FAILED))?;
    let user = last(&results).map_err(database(FAILED))?;
    Ok(session.grant(auth, call, user).await?.respond())
}

/// The proof, by whom the passkey belongs to.
fn prove(
    auth: &Auth,
    challenge: &[u8],
    passkey: &Passkey,
    credential: &Credential<Assertion>,
) -> Outcome<Authenticated> {
    let handle = credential.user_handle().map_err(unproved)?;
    if handle.is_none_or(|handle| handle != passkey.user_id.to_string().as_bytes()) {
        return Err(unproved(webauthn::Error::Form));
    }
    let stored = StoredKey {
        public_key: &passkey.public_key,
        counter: u32::try_from(passkey.sign_count).unwrap_or(u32::MAX),
        is_backup_eligible: Some(passkey.backup_eligible),
    };
    let proof = webauthn::authenticate(&party(auth)?, challenge, &stored, credential);
    proof.map_err(|error| {
        if error == webauthn::Error::Counter {
            tracing::warn!(passkey = %passkey.id, user = %passkey.user_id,
                "the counter of a passkey went back: there may be a copy of it");
        }
        unproved(error)
    })
}

fn check_user(call: &Call, user: &User) -> Result<(), Refusal> {
    if !user.email().is_empty() && user.email_confirmed_at.is_none() {
        return Err(refuse(403, "email_not_confirmed", "Email not confirmed"));
    }
    if !user.phone().is_empty() && user.phone_confirmed_at.is_none() {
        return Err(refuse(403, "phone_not_confirmed", "Phone not confirmed"));
    }
    if user.is_banned(call.now) {
        return Err(refuse(403, "user_banned", "User is banned"));
    }
    Ok(())
}
