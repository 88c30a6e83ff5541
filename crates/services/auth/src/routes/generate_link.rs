//! `POST /admin/generate_link`: a link that the administrator delivers.

use super::signup::{self, Newcomer};
use crate::Auth;
use crate::call::Call;
use crate::flow::one_time::OneTime;
use crate::flow::{address, redirect};
use crate::guard;
use crate::message::{self, Kind, Recipient};
use crate::refusal::{Outcome, database, internal, invalid, refuse};
use crate::reply;
use crate::store::db::{Step, first, last};
use crate::store::one_time_tokens::{self, Purpose};
use crate::store::records::User;
use crate::store::users::{self, Patch};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    new_email: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    redirect_to: Option<String>,
}

/// The steps of a link, and what the answer says of it.
struct Link {
    user: Uuid,
    steps: Vec<Step>,
    token: OneTime,
    /// `type` in the link.
    kind: &'static str,
    /// The type that the answer names.
    named: &'static str,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    let params: Params = call.json()?;
    let email = address::email(params.email.as_deref().unwrap_or_default())?;
    let kind = params.kind.as_deref().unwrap_or_default();
    let find = users::by_email(&email, &admin.audience);
    let rows = auth.db.one(find).await.map_err(database("Database error finding user"))?;
    let user: Option<User> = first(&rows).map_err(database("Database error finding user"))?;
    let mut link = match (kind, user) {
        ("magiclink", Some(user)) => to_user(auth, call, Kind::MagicLink, &user, &email),
        ("recovery", Some(user)) => to_user(auth, call, Kind::Recovery, &user, &email),
        ("recovery" | "email_change_current" | "email_change_new", None) => {
            return Err(refuse(404, "user_not_found", "User with this email not found"));
        }
        ("signup" | "invite", Some(user)) if user.email_confirmed_at.is_some() => {
            return Err(refuse(422, "email_exists", super::EMAIL_TAKEN));
        }
        ("signup", Some(user)) => {
            let mut link = to_user(auth, call, Kind::Signup, &user, &email);
            if let Some(data) = params.data {
                link.steps.push(Patch::new().merge("raw_user_meta_data", data).on(user.id, call.now));
            }
            link
        }
        ("invite", Some(user)) => to_user(auth, call, Kind::Invite, &user, &email),
        ("signup" | "magiclink", None) => {
            let secret = match kind {
                "signup" => Some(params.password.unwrap_or_default()),
                _ => None,
            };
            let newcomer = newcomer(&email, params.data, &admin.audience);
            to_newcomer(auth, call, Kind::Signup, newcomer, secret).await?
        }
        ("invite", None) => {
            let newcomer = newcomer(&email, params.data, &admin.audience);
            to_newcomer(auth, call, Kind::Invite, newcomer, None).await?
        }

        ("email_change_current" | "email_change_new", Some(user)) => {
            let new_email = address::email(params.new_email.as_deref().unwrap_or_default())?;
            email_change(auth, call, kind == "email_change_new", &user, &new_email).await?
        }
        _ => return Err(invalid(format!("Invalid email action link type requested: {kind}"))),
    };
    let action = if link.kind == "invite" { "user_invited" } else { "user_recovery_requested" };
    let traits = json!({ "user_id": link.user, "user_email": email });
    link.steps.extend(auth.audit(&admin.actor, action, Some(traits), call));
    link.steps.push(users::by_id(link.user));
    let results = auth.db.run(link.steps).await.map_err(database("Database error saving new user"))?;
    let user: User = last(&results).map_err(database("Database error finding user"))?;
    let wanted = params.redirect_to.unwrap_or_default();
    let target = if redirect::is_allowed(&auth.settings, &wanted) {
        wanted
    } else {
        message::redirect_target(auth, call)
    };
    let mut answer = serde_json::to_value(&user).map_err(|e| internal("Error generating link", e))?;
    answer["action_link"] = json!(message::link(auth, call, &link.token.hash, link.kind, &target));
    answer["email_otp"] = json!(link.token.code);
    answer["hashed_token"] = json!(link.token.hash);
    answer["verification_type"] = json!(link.named);
    answer["redirect_to"] = json!(target);
    Ok(reply::ok(&answer))
}

fn link(auth: &Auth, call: &Call, kind: Kind, user: Uuid, email: &str, mut steps: Vec<Step>) -> Link {
    let token = OneTime::new(email, auth.settings.mailer_otp_length, false);
    let to = Recipient { user, address: email, last_sent: None };
    steps.extend(message::token_steps(kind, to, &token, call.now));
    Link { user, steps, token, kind: kind.as_str(), named: kind.as_str() }
}

fn to_user(auth: &Auth, call: &Call, kind: Kind, user: &User, email: &str) -> Link {
    link(auth, call, kind, user.id, email, Vec::new())
}

fn newcomer(email: &str, data: Option<Map<String, Value>>, audience: &str) -> Newcomer {
    let address = signup::Address { provider: "email", email: email.to_owned(), phone: String::new() };
    let data = data.unwrap_or_default();
    Newcomer { address, data, audience: audience.to_owned(), challenge: None }
}

/// A link for somebody who does not exist yet.
async fn to_newcomer(
    auth: &Auth,
    call: &Call,
    kind: Kind,
    newcomer: Newcomer,
    secret: Option<String>,
) -> Outcome<Link> {
    let password_hash = match (kind, secret) {
        (Kind::Invite, _) => String::new(),
        (_, Some(secret)) => {
            if secret.is_empty() {
                return Err(invalid("Signup requires a valid password"));
            }
            crate::strength::check(auth, &secret).await?;
            auth.hasher.hash(&secret).await?
        }
        (_, None) => auth.hasher.hash(&super::otp::random_password()).await?,
    };
    let email = newcomer.address.email.clone();
    let (user, steps) = signup::creation_steps(auth, call, &newcomer.with_hash(password_hash)).await?;
    Ok(link(auth, call, kind, user, &email, steps))
}

/// One half of a change of address. The hash is of the address that this half is for.
async fn email_change(auth: &Auth, call: &Call, new: bool, user: &User, new_email: &str) -> Outcome<Link> {
    if !new && !auth.settings.mailer_secure_email_change {
        return Err(invalid("Enable secure email change to generate link for current email"));
    }
    let audience = user.aud.as_deref().unwrap_or_default();
    let taken = auth.db.one(users::duplicate_of_email(new_email, audience, Some(user.id))).await;
    if !taken.map_err(database("Database error checking email"))?.is_empty() {
        return Err(refuse(422, "email_exists", super::EMAIL_TAKEN));
    }
    let (address, purpose) = match new {
        true => (new_email, Purpose::EmailChangeNew),
        false => (user.email(), Purpose::EmailChangeCurrent),
    };
    let token = OneTime::new(address, auth.settings.mailer_otp_length, false);
    let patch = Patch::new()
        .text("email_change", new_email)
        .text(purpose.as_str(), &token.hash)
        .time("email_change_sent_at", Some(call.now))
        .number("email_change_confirm_status", 0);
    let mut steps = vec![patch.on(user.id, call.now)];
    steps.extend(one_time_tokens::put(user.id, purpose, &token.hash, address, call.now));
    let named = if new { "email_change_new" } else { "email_change_current" };
    Ok(Link { user: user.id, steps, token, kind: "email_change", named })
}
