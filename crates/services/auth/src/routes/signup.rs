//! `POST /signup`: with an e-mail address, a phone number, or nobody in particular.

use crate::Auth;
use crate::call::Call;
use crate::flow::address;
use crate::flow::pkce::{Challenge, ChallengeFields};
use crate::guard::audience;
use crate::handover::{self, Unsent};
use crate::hook;
use crate::issue::NewSession;
use crate::message::{self, Kind, Recipient};
use crate::refusal::{Outcome, Refusal, database, invalid, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::{Step, first, last};
use crate::store::identities;
use crate::store::one_time_tokens;
use crate::store::records::User;
use crate::store::users::{self, NewUser, Patch};
use crate::strength;
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(flatten)]
    challenge: ChallengeFields,
}

/// How somebody signs up.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) provider: &'static str,
    pub(super) email: String,
    pub(super) phone: String,
}

/// Somebody who may become a user.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) address: Address,
    pub(super) data: Map<String, Value>,
    pub(super) audience: String,
    pub(super) challenge: Option<Challenge>,
}

impl Newcomer {
    pub(super) fn with_hash(self, password_hash: String) -> Signup {
        Signup { newcomer: self, password_hash }
    }
}

/// A sign-up, checked.
#[derive(Debug)]
pub(super) struct Signup {
    newcomer: Newcomer,
    password_hash: String,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let given = |field: &Option<String>| field.clone().unwrap_or_default();
    let (email, phone) = (given(&params.email), given(&params.phone));
    let settings = &auth.settings;
    if email.is_empty() && phone.is_empty() {
        if !settings.anonymous_enabled {
            return Err(refuse(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled"));
        }
        check_open(auth)?;
        return anonymous(auth, call, params.data.unwrap_or_default()).await;
    }
    check_open(auth)?;
    let secret = given(&params.password);
    if secret.is_empty() {
        return Err(invalid("Signup requires a valid password"));
    }
    strength::check(auth, &secret).await?;
    let challenge = check_fields(auth, &params, &email, &phone)?;
    let address = check_address(auth, &email, &phone)?;
    let audience = audience(settings, call, None);
    let existing = find(auth, &address, &audience).await?;
    // The hash is made for existing users too, so that the time does not tell them from new ones.
    let password_hash = auth.hasher.hash(&secret).await?;
    let newcomer = Newcomer { address, data: params.data.unwrap_or_default(), audience, challenge };
    finish(auth, call, newcomer.with_hash(password_hash), existing).await
}

/// Refuses newcomers when the project takes none.
pub(super) fn check_open(auth: &Auth) -> Outcome<()> {
    if auth.settings.disable_signup {
        return Err(refuse(422, "signup_disabled", "Signups not allowed for this instance"));
    }
    Ok(())
}

fn check_fields(auth: &Auth, params: &Params, email: &str, phone: &str) -> Outcome<Option<Challenge>> {
    if !email.is_empty() && !phone.is_empty() {
        return Err(invalid("Only an email address or phone number should be provided on signup."));
    }
    let channel = params.channel.as_deref().unwrap_or_default();
    if !phone.is_empty() && !crate::sms::takes_channel(auth, channel) {
        return Err(invalid(super::otp::INVALID_CHANNEL));
    }
    if !phone.is_empty() && params.challenge.code_challenge.as_deref().is_some_and(|c| !c.is_empty()) {
        return Err(invalid("PKCE not supported for phone signups"));
    }
    params.challenge.read()
}

/// The address in its stored form, if its provider is switched on.
fn check_address(auth: &Auth, email: &str, phone: &str) -> Outcome<Address> {
    let settings = &auth.settings;
    if email.is_empty() {
        if !settings.phone_enabled {
            return Err(refuse(400, "phone_provider_disabled", "Phone signups are disabled"));
        }
        return Ok(Address { provider: "phone", email: String::new(), phone: address::phone(phone)? });
    }
    if !settings.email_enabled {
        return Err(refuse(400, "email_provider_disabled", "Email signups are disabled"));
    }
    Ok(Address { provider: "email", email: address::email(email)?, phone: String::new() })
}

async fn find(auth: &Auth, address: &Address, audience: &str) -> Outcome<Option<User>> {
    let step = match address.provider {
        "email" => users::duplicate_of_email(&address.email, audience, None),
        _ => users::by_phone(&address.phone, audience),
    };
    let rows = auth.db.one(step).await.map_err(database("Database error finding user"))?;
    first(&rows).map_err(database("Database error finding user"))
}

fn is_confirmed(user: &User, provider: &str) -> bool {
    match provider {
        "email" => user.email_confirmed_at.is_some(),
        _ => user.phone_confirmed_at.is_some(),
    }
}

fn confirms_itself(auth: &Auth, provider: &str) -> bool {
    match provider {
        "email" => auth.settings.mailer_autoconfirm,
        _ => auth.settings.sms_autoconfirm,
    }
}

/// Writes the sign-up. When somebody else took the address meanwhile, it is an existing one after all.
pub(super) async fn finish(
    auth: &Auth,
    call: &Call,
    signup: Signup,
    existing: Option<User>,
) -> Outcome<Response<Body>> {
    if let Some(user) = existing {
        return with_existing(auth, call, &signup, user).await;
    }
    match create(auth, call, &signup).await {
        Err(Conflict::Taken(refusal)) => {
            match find(auth, &signup.newcomer.address, &signup.newcomer.audience).await? {
                Some(user) => with_existing(auth, call, &signup, user).await,
                None => Err(refusal),
            }
        }
        Err(Conflict::Other(refusal)) => Err(refusal),
        Ok(response) => Ok(response),
    }
}

enum Conflict {
    /// The address belongs to somebody by now.
    Taken(Refusal),
    Other(Refusal),
}

impl From<Refusal> for Conflict {
    fn from(refusal: Refusal) -> Self {
        Conflict::Other(refusal)
    }
}

fn conflict(error: pg::Error) -> Conflict {
    let constraint = error.db().and_then(|report| report.constraint.as_deref());
    let taken = matches!(constraint, Some("users_email_partial_key" | "users_phone_key"));
    let refusal = database("Database error saving new user")(error);
    if taken { Conflict::Taken(refusal) } else { Conflict::Other(refusal) }
}

async fn create(auth: &Auth, call: &Call, signup: &Signup) -> Result<Response<Body>, Conflict> {
    let user = new_user(auth, signup);
    hook::before_user_created(auth, call, &user, None).await?;
    let (id, mut steps) = own_creation_steps(call, signup, &user);
    let provider = signup.newcomer.address.provider;
    let actor = actor(id, signup);
    if confirms_itself(auth, provider) {
        steps.extend(confirmation_steps(auth, call, id, &actor, provider));
        let session = NewSession::new(id, "password");
        steps.extend(session.steps(call));
        let results = auth.db.run(steps).await.map_err(conflict)?;
        hook::after_user_created(auth, call, id).await?;
        let user = last(&results).map_err(database("Database error loading user after sign-up"))?;
        return Ok(session.grant(auth, call, user).await?.respond());
    }
    steps.extend(auth.audit(
        &actor,
        "user_confirmation_requested",
        Some(json!({ "provider": provider })),
        call,
    ));
    steps.extend(request_steps(auth, call, signup, id, None)?);
    steps.push(users::by_id(id));
    let results = handover::run(auth, call, steps).await.map_err(|unsent| match unsent {
        Unsent::Database(error) => conflict(error),
        Unsent::Refused(refusal) => Conflict::Other(refusal),
    })?;
    let user: User = last(&results).map_err(database("Database error loading user after sign-up"))?;
    hook::after_user_created(auth, call, id).await?;
    Ok(reply::ok(&user))
}

/// The steps that make an unconfirmed user for whom somebody else vouches: an invitation, a link. A hook may
/// refuse.
pub(super) async fn creation_steps(auth: &Auth, call: &Call, signup: &Signup) -> Outcome<(Uuid, Vec<Step>)> {
    let user = new_user(auth, signup);
    hook::before_user_created(auth, call, &user, None).await?;
    let (_, steps) = steps_with_identity(call, signup, &user, &Map::new());
    Ok((user.id, steps))
}

/// The steps that make an unconfirmed user by their own wish: user and identity carry each other's data.
fn own_creation_steps(call: &Call, signup: &Signup, user: &NewUser) -> (Uuid, Vec<Step>) {
    let (data, mut steps) = steps_with_identity(call, signup, user, &signup.newcomer.data);
    steps.push(Patch::new().merge("raw_user_meta_data", data).on(user.id, call.now));
    (user.id, steps)
}

fn new_user(auth: &Auth, signup: &Signup) -> NewUser {
    let Address { provider, email, phone } = &signup.newcomer.address;
    NewUser {
        id: Uuid::new_v4(),
        audience: signup.newcomer.audience.clone(),
        role: auth.settings.jwt_default_role.clone(),
        email: email.clone(),
        phone: phone.clone(),
        password_hash: signup.password_hash.clone(),
        app_metadata: provider_metadata(provider),
        user_metadata: signup.newcomer.data.clone(),
        is_anonymous: false,
        is_sso: false,
    }
}

fn steps_with_identity(
    call: &Call,
    signup: &Signup,
    user: &NewUser,
    copied: &Map<String, Value>,
) -> (Map<String, Value>, Vec<Step>) {
    let Address { provider, email, .. } = &signup.newcomer.address;
    let data = identities::own_data(user.id, email, "", false, copied);
    let steps = vec![
        users::insert(user, call.now),
        identities::insert_own(user.id, provider, data.clone(), call.now),
    ];
    (data, steps)
}

fn provider_metadata(provider: &str) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("provider".into(), json!(provider));
    metadata.insert("providers".into(), json!([provider]));
    metadata
}

fn actor(id: Uuid, signup: &Signup) -> Actor {
    let Address { email, phone, .. } = &signup.newcomer.address;
    let username = if phone.is_empty() { email } else { phone };
    Actor::new_user(id, username, signup.newcomer.data.get("full_name").cloned())
}

/// The steps that confirm an address which needs no proof, with their audit entries.
fn confirmation_steps(auth: &Auth, call: &Call, id: Uuid, actor: &Actor, provider: &str) -> Vec<Step> {
    let mut steps = auth.audit(actor, "user_signedup", Some(json!({ "provider": provider })), call);
    let patch = Patch::new().text("confirmation_token", "");
    let patch = match provider {
        "email" => {
            let mut verified = Map::new();
            verified.insert("email_verified".into(), json!(true));
            patch.time("email_confirmed_at", Some(call.now)).merge("raw_user_meta_data", verified)
        }
        _ => patch.time("phone_confirmed_at", Some(call.now)),
    };
    steps.push(patch.on(id, call.now));
    steps.push(one_time_tokens::clear(id, None));
    steps.extend(auth.audit(actor, "login", Some(json!({ "provider": provider })), call));
    steps
}

/// The steps that ask for a proof of the address.
fn request_steps(
    auth: &Auth,
    call: &Call,
    signup: &Signup,
    id: Uuid,
    existing: Option<&User>,
) -> Outcome<Vec<Step>> {
    let last_sent = existing.and_then(|user| user.confirmation_sent_at);
    match signup.newcomer.address.provider {
        "email" => {
            let to = Recipient { user: id, address: &signup.newcomer.address.email, last_sent };
            message::mail(auth, call, Kind::Signup, to, signup.newcomer.challenge.as_ref())
        }
        _ => super::otp::sms_steps(auth, call, id, &signup.newcomer.address.phone, last_sent),
    }
}

async fn with_existing(auth: &Auth, call: &Call, signup: &Signup, user: User) -> Outcome<Response<Body>> {
    let provider = signup.newcomer.address.provider;
    let actor = Actor::user(&user);
    let traits = Some(json!({ "provider": provider }));
    if is_confirmed(&user, provider) {
        let entry = auth.audit(&actor, "user_repeated_signup", traits, call);
        auth.db.run(entry).await.map_err(database("Database error saving new user"))?;
        let settings = &auth.settings;
        if settings.mailer_autoconfirm || settings.sms_autoconfirm {
            return Err(refuse(422, "user_already_exists", "User already registered"));
        }
        return Ok(reply::ok(&pretended(signup, call)));
    }
    let mut steps = Vec::new();
    if user.own_identity(provider).is_none() {
        let data =
            identities::own_data(user.id, &signup.newcomer.address.email, "", false, &signup.newcomer.data);
        steps.push(identities::insert_own(user.id, provider, data, call.now));
    }
    if confirms_itself(auth, provider) {
        steps.extend(confirmation_steps(auth, call, user.id, &actor, provider));
        let session = NewSession::new(user.id, "password");
        steps.extend(session.steps(call));
        let results = auth.db.run(steps).await.map_err(database("Database error updating user"))?;
        let user = last(&results).map_err(database("Database error updating user"))?;
        return Ok(session.grant(auth, call, user).await?.respond());
    }
    steps.extend(auth.audit(&actor, "user_confirmation_requested", traits, call));
    steps.extend(request_steps(auth, call, signup, user.id, Some(&user))?);
    steps.push(users::by_id(user.id));
    let results = handover::run(auth, call, steps).await;
    let results = results.map_err(handover::failed("Database error updating user"))?;
    let mut user: User = last(&results).map_err(database("Database error updating user"))?;
    if user.invited_at.is_some() {
        user.raw_user_meta_data = None;
        user.identities = Some(Vec::new());
    }
    Ok(reply::ok(&user))
}

/// What somebody gets who signs up with an address that is taken: what a new user would get, but made up.
fn pretended(signup: &Signup, call: &Call) -> Value {
    let Address { provider, email, phone } = &signup.newcomer.address;
    json!({
        "id": Uuid::new_v4(),
        "aud": signup.newcomer.audience,
        "role": "",
        "email": email,
        "phone": phone,
        "confirmation_sent_at": call.now,
        "app_metadata": provider_metadata(provider),
        "user_metadata": signup.newcomer.data,
        "identities": [],
        "created_at": call.now,
        "updated_at": call.now,
        "is_anonymous": false,
    })
}

async fn anonymous(auth: &Auth, call: &Call, data: Map<String, Value>) -> Outcome<Response<Body>> {
    let id = Uuid::new_v4();
    let user = NewUser {
        id,
        audience: audience(&auth.settings, call, None),
        role: auth.settings.jwt_default_role.clone(),
        email: String::new(),
        phone: String::new(),
        password_hash: String::new(),
        app_metadata: Map::new(),
        user_metadata: data,
        is_anonymous: true,
        is_sso: false,
    };
    hook::before_user_created(auth, call, &user, None).await?;
    let session = NewSession::new(id, "anonymous");
    let mut steps = vec![users::insert(&user, call.now)];
    steps.extend(session.steps(call));
    let results = auth.db.run(steps).await.map_err(database("Database error creating anonymous user"))?;
    let user = last(&results).map_err(database("Database error creating anonymous user"))?;
    hook::after_user_created(auth, call, id).await?;
    Ok(session.grant(auth, call, user).await?.respond())
}
