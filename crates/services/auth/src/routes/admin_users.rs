//! `/admin/users`: listing, making and reading users.

use crate::Auth;
use crate::call::Call;
use crate::flow::{address, ban, password};
use crate::guard;
use crate::hasher;
use crate::moment::Moment;
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::reply;
use crate::store::db::{Step, all, first, last};
use crate::store::identities;
use crate::store::one_time_tokens;
use crate::store::records::User;
use crate::store::users::{self, NewUser, Page, Patch};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use uuid::Uuid;

pub(super) const BAD_HASH: &str = "The password hash is not one of bcrypt, argon2i, argon2id or Firebase scrypt, or it costs too much to check";

/// The fields by which administrators make and change users.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Params {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    aud: Option<String>,
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) phone: Option<String>,
    #[serde(default)]
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) password_hash: Option<String>,
    #[serde(default)]
    pub(super) email_confirm: Option<bool>,
    #[serde(default)]
    pub(super) phone_confirm: Option<bool>,
    #[serde(default)]
    pub(super) user_metadata: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) app_metadata: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) ban_duration: Option<String>,
}

impl Params {
    /// The addresses in their stored form; empty when not given.
    pub(super) fn addresses(&self) -> Outcome<(String, String)> {
        let email = match self.email.as_deref().unwrap_or_default() {
            "" => String::new(),
            text => address::email(text)?,
        };
        let phone = match self.phone.as_deref().unwrap_or_default() {
            "" => String::new(),
            text => address::phone(text)?,
        };
        Ok((email, phone))
    }

    /// The ban asked for, if one was: nothing inside means that the ban ends.
    pub(super) fn ban(&self) -> Outcome<Option<Option<Duration>>> {
        match self.ban_duration.as_deref().unwrap_or_default() {
            "" => Ok(None),
            text => ban::duration(text).map(Some),
        }
    }
}

/// The user of the path.
pub(super) async fn load(auth: &Auth, call: &Call) -> Outcome<User> {
    let id = call.path.split('/').nth(3).unwrap_or_default();
    let id = Uuid::parse_str(id).map_err(|_| refuse(404, "validation_failed", "user_id must be an UUID"))?;
    let rows = auth.db.one(users::by_id(id)).await.map_err(database("Database error loading user"))?;
    let user: Option<User> = first(&rows).map_err(database("Database error loading user"))?;
    user.ok_or_else(|| refuse(404, "user_not_found", "User not found"))
}

pub(super) async fn get(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    Ok(reply::ok(&load(auth, call).await?))
}

pub(super) async fn list(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    let ascending = is_ascending(call)?;
    let (page, per_page) = super::pages::asked(call)?;
    if super::user_cursor::is_wanted(call) {
        return super::user_cursor::list(auth, call, &admin.audience, ascending).await;
    }
    let filter = Some(call.query("filter")).filter(|filter| !filter.is_empty());
    let wanted = Page {
        audience: &admin.audience,
        filter,
        exact: exact(call)?,
        ascending,
        limit: per_page,
        offset: super::pages::offset(page, per_page),
    };
    let steps = vec![users::list(&wanted), users::count(&wanted)];
    let results = auth.db.run(steps).await.map_err(database("Database error finding users"))?;
    let [found, count] = results.as_slice() else { return Err(invalid("Database error finding users")) };
    let found: Vec<User> = all(found).map_err(database("Database error finding users"))?;
    let total: u64 =
        count.one().and_then(|row| row.get(0)).map_err(database("Database error finding users"))?;
    let mut response = reply::ok(&json!({ "users": found, "aud": admin.audience }));
    super::pages::set_headers(&mut response, call, page, per_page, total);
    Ok(response)
}

/// The address that alone is looked for, if there is one: `?email=` or `?phone=`.
pub(super) fn exact(call: &Call) -> Outcome<Option<users::Exact>> {
    match (call.query("email"), call.query("phone")) {
        ("", "") => Ok(None),
        (email, "") => Ok(Some(users::Exact::Email(address::email(email)?))),
        ("", phone) => Ok(Some(users::Exact::Phone(address::phone(phone)?))),
        _ => Err(invalid("Only an email address or phone number should be provided")),
    }
}

/// Whether the oldest come first.
pub(super) fn is_ascending(call: &Call) -> Outcome<bool> {
    let Some((_, sort)) = call.query.iter().find(|(key, _)| key == "sort") else { return Ok(false) };
    let (field, direction) = sort.split_once(' ').unwrap_or((sort, "desc"));
    if field != "created_at" {
        return Err(invalid(format!("Bad Sort Parameters: bad field for sort '{field}'")));
    }
    match direction.to_ascii_lowercase().as_str() {
        "asc" => Ok(true),
        "desc" => Ok(false),
        _ => Err(invalid(format!(
            "Bad Sort Parameters: bad direction for sort '{direction}', only 'asc' and 'desc' allowed"
        ))),
    }
}

pub(super) async fn create(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    let params: Params = call.json()?;
    if params.email.as_deref().unwrap_or_default().is_empty()
        && params.phone.as_deref().unwrap_or_default().is_empty()
    {
        return Err(invalid("Cannot create a user without either an email or phone"));
    }
    let (email, phone) = params.addresses()?;
    let audience = params.aud.clone().filter(|aud| !aud.is_empty()).unwrap_or(admin.audience);
    check_free(auth, &email, &phone, &audience).await?;
    let ban = params.ban()?;
    let id = new_id(params.id.as_deref().unwrap_or_default())?;
    let password_hash = password_hash(auth, &params).await?;
    let providers = providers(&email, &phone);
    let mut app_metadata = Map::new();
    app_metadata.insert("provider".into(), json!(providers[0]));
    app_metadata.insert("providers".into(), json!(providers));
    let user = NewUser {
        id,
        audience,
        role: params
            .role
            .clone()
            .filter(|role| !role.is_empty())
            .unwrap_or(auth.settings.jwt_default_role.clone()),
        email: email.clone(),
        phone: phone.clone(),
        password_hash,
        app_metadata,
        user_metadata: params.user_metadata.clone().unwrap_or_default(),
        is_anonymous: false,
        is_sso: false,
    };
    let mut steps = vec![users::insert(&user, call.now)];
    for provider in &providers {
        let (email, phone) = if *provider == "email" { (email.as_str(), "") } else { ("", phone.as_str()) };
        let data = identities::own_data(id, email, phone, false, &Map::new());
        steps.push(identities::insert_own(id, provider, data, call.now));
    }
    let traits = json!({ "user_id": id, "user_email": email, "user_phone": phone, "provider": providers[0] });
    steps.extend(auth.audit(&admin.actor, "user_signedup", Some(traits), call));
    if let Some(metadata) = params.app_metadata.clone() {
        steps.push(Patch::new().merge("raw_app_meta_data", metadata).on(id, call.now));
    }
    steps.extend(confirm_steps(&params, id, call.now));
    if let Some(ban) = ban {
        steps.push(ban_patch(Patch::new(), ban, call.now).on(id, call.now));
    }
    steps.push(users::by_id(id));
    let results = auth.db.run(steps).await.map_err(database("Database error creating new user"))?;
    let user: User = last(&results).map_err(database("Database error creating new user"))?;
    Ok(reply::ok(&user))
}

async fn check_free(auth: &Auth, email: &str, phone: &str, audience: &str) -> Outcome<()> {
    let steps = vec![users::duplicate_of_email(email, audience, None), users::by_phone(phone, audience)];
    let results = auth.db.run(steps).await.map_err(database("Database error checking email"))?;
    let taken = |index: usize| results.get(index).is_some_and(|rows| !rows.is_empty());
    if !email.is_empty() && taken(0) {
        return Err(refuse(422, "email_exists", super::EMAIL_TAKEN));
    }
    if !phone.is_empty() && taken(1) {
        return Err(refuse(422, "phone_exists", "Phone number already registered by another user"));
    }
    Ok(())
}

fn new_id(text: &str) -> Outcome<Uuid> {
    if text.is_empty() {
        return Ok(Uuid::new_v4());
    }
    match Uuid::parse_str(text) {
        Err(_) => Err(invalid("ID must conform to the uuid v4 format")),
        Ok(id) if id.is_nil() => Err(invalid("ID cannot be a nil uuid")),
        Ok(id) => Ok(id),
    }
}

/// The hash given, that of the password given, or that of one that nobody knows.
async fn password_hash(auth: &Auth, params: &Params) -> Outcome<String> {
    let hash = params.password_hash.as_deref().unwrap_or_default();
    match params.password.as_deref() {
        Some(_) if !hash.is_empty() => Err(invalid("Only a password or a password hash should be provided")),
        _ if !hash.is_empty() => {
            if !hasher::is_hash(hash) {
                return Err(invalid(BAD_HASH));
            }
            Ok(hash.to_owned())
        }
        Some(secret) if !secret.is_empty() => {
            password::check_length(secret)?;
            auth.hasher.hash(secret).await
        }
        _ => auth.hasher.hash(&super::otp::random_password()).await,
    }
}

fn providers(email: &str, phone: &str) -> Vec<&'static str> {
    let given = [("email", email), ("phone", phone)];
    given.into_iter().filter(|(_, address)| !address.is_empty()).map(|(provider, _)| provider).collect()
}

/// Confirms what the administrator vouches for.
pub(super) fn confirm_steps(params: &Params, id: Uuid, now: Moment) -> Vec<Step> {
    let mut patch = Patch::new();
    if params.email_confirm == Some(true) {
        let verified = super::proven::email_verified();
        patch = patch.time("email_confirmed_at", Some(now)).merge("raw_user_meta_data", verified);
    }
    if params.phone_confirm == Some(true) {
        patch = patch.time("phone_confirmed_at", Some(now));
    }
    if patch.is_empty() {
        return Vec::new();
    }
    vec![patch.text("confirmation_token", "").on(id, now), one_time_tokens::clear(id, None)]
}

pub(super) fn ban_patch(patch: Patch, ban: Option<Duration>, now: Moment) -> Patch {
    patch.time("banned_until", ban.map(|duration| now.plus(duration)))
}
