//! `POST /token?grant_type=password`.

use crate::Auth;
use crate::call::Call;
use crate::flow::{address, password};
use crate::guard::audience;
use crate::hasher;
use crate::hook;
use crate::issue::NewSession;
use crate::refusal::{Outcome, Refusal, database, invalid, refuse};
use crate::store::audit::Actor;
use crate::store::db::{first, last};
use crate::store::records::User;
use crate::store::sessions;
use crate::store::users::{self, Patch};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let email = params.email.unwrap_or_default().to_lowercase();
    let phone = params.phone.unwrap_or_default();
    let settings = &auth.settings;
    let audience = audience(settings, call, None);
    let (provider, find) = match (email.is_empty(), phone.is_empty()) {
        (false, false) => {
            return Err(invalid("Only an email address or phone number should be provided on login."));
        }
        (true, true) => return Err(invalid("missing email or phone")),
        (false, true) if !settings.email_enabled => {
            return Err(refuse(422, "email_provider_disabled", "Email logins are disabled"));
        }
        (true, false) if !settings.phone_enabled => {
            return Err(refuse(422, "phone_provider_disabled", "Phone logins are disabled"));
        }
        (false, true) => ("email", users::by_email(&email, &audience)),
        (true, false) => ("phone", users::by_phone(&address::phone_digits(&phone), &audience)),
    };
    let rows = auth.db.one(find).await.map_err(database("Database error querying schema"))?;
    let user: Option<User> = first(&rows).map_err(database("Database error querying schema"))?;
    let secret = params.password.unwrap_or_default();
    let user = authenticate(auth, user, &secret, call).await?;
    let confirmed = if provider == "email" { user.email_confirmed_at } else { user.phone_confirmed_at };
    if confirmed.is_none() {
        let (code, message) = match provider {
            "email" => ("email_not_confirmed", "Email not confirmed"),
            _ => ("phone_not_confirmed", "Phone not confirmed"),
        };
        return Err(refuse(400, code, message));
    }
    let session = NewSession::new(user.id, "password");
    let mut steps = auth.audit(&Actor::user(&user), "login", Some(json!({ "provider": provider })), call);
    if user.password_hash().is_some_and(hasher::is_outdated) && password::check_length(&secret).is_ok() {
        let hash = auth.hasher.hash(&secret).await?;
        steps.push(Patch::new().text("encrypted_password", &hash).on(user.id, call.now));
    }
    steps.extend(session.steps(call));
    let results = auth.db.run(steps).await.map_err(failed)?;
    let user = last(&results).map_err(failed)?;
    let grant = session.grant(auth, call, user).await?.warn(crate::strength::weakness(auth, &secret).await?);
    Ok(grant.respond())
}

/// A user who is deleted while they sign in is one who does not exist.
fn failed(error: pg::Error) -> Refusal {
    let constraint = error.db().and_then(|report| report.constraint.as_deref());
    if constraint == Some("sessions_user_id_fkey") {
        return refuse(400, "invalid_credentials", "Invalid login credentials");
    }
    database("Database error granting user")(error)
}

/// The user, if the password is theirs. Unknown users take as long as known ones.
async fn authenticate(auth: &Auth, user: Option<User>, secret: &str, call: &Call) -> Outcome<User> {
    let hash = user.as_ref().and_then(User::password_hash);
    let right = auth.hasher.verify(secret, hash).await?;
    let user = user.filter(|user| user.password_hash().is_some());
    if let Some(user) = user.as_ref().filter(|user| !user.is_banned(call.now))
        && let Some(rejection) = hook::password_attempt(auth, call, user.id, right).await?
    {
        if rejection.logs_out {
            let ended = auth.db.one(sessions::delete_all(user.id, None)).await;
            ended.map_err(database("Database error ending sessions"))?;
        }
        return Err(refuse(400, "invalid_credentials", rejection.message));
    }
    match user {
        Some(user) if user.is_banned(call.now) => Err(refuse(400, "user_banned", "User is banned")),
        Some(user) if right => Ok(user),
        _ => Err(refuse(400, "invalid_credentials", "Invalid login credentials")),
    }
}
