//! What is written when somebody arrives: a new account, one more identity, or the old one once more.

use super::Arrival;
use super::linking::{self, Decision, Linking};
use crate::Auth;
use crate::call::Call;
use crate::message::{self, Kind, Recipient};
use crate::notice;
use crate::refusal::{Outcome, Refusal, internal, refuse};
use crate::settings::Notification;
use crate::store::audit::Actor;
use crate::store::db::Step;
use crate::store::records::User;
use crate::store::users::{self, NewUser, Patch};
use crate::store::{factors, identities, one_time_tokens, sessions};
use serde_json::{Map, Value, json};
use uuid::Uuid;

const EMAIL_TAKEN: &str = "A user with this email address has already been registered";

/// What is to be written for somebody.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) user: Uuid,
    pub(super) steps: Vec<Step>,
    /// Why there is no session although all of this is to stay.
    pub(super) refusal: Option<Refusal>,
    /// The account that the steps make, if they make one.
    pub(super) new: Option<NewUser>,
}

/// An identity that somebody arrives with.
struct Newcomer<'a> {
    arrival: &'a Arrival,
    data: Map<String, Value>,
    identity: Uuid,
}

impl<'a> Newcomer<'a> {
    fn new(arrival: &'a Arrival) -> Outcome<Newcomer<'a>> {
        if arrival.profile.subject().is_empty() {
            return Err(internal("Error getting user profile from external provider", "it names nobody"));
        }
        Ok(Newcomer { arrival, data: arrival.profile.identity_data(), identity: Uuid::new_v4() })
    }

    fn provider(&self) -> &str {
        &self.arrival.provider
    }

    fn traits(&self) -> Option<Value> {
        Some(json!({ "provider": self.provider() }))
    }

    /// Adds the identity to an account.
    fn add(&self, user: Uuid, call: &Call) -> Step {
        let subject = self.arrival.profile.subject();
        identities::insert(self.identity, subject, user, &self.data, self.provider(), call.now)
    }

    fn linked(&self, auth: &Auth, actor: &Actor, call: &Call) -> Vec<Step> {
        let subject = self.arrival.profile.subject();
        let traits =
            json!({ "identity_id": self.identity, "provider": self.provider(), "provider_id": subject });
        auth.audit(actor, "identity_linked", Some(traits), call)
    }

    fn merge(&self, user: Uuid, call: &Call) -> Step {
        Patch::new().merge("raw_user_meta_data", self.data.clone()).on(user, call.now)
    }
}

/// Somebody signs in, or up.
pub(super) fn sign_in(
    auth: &Auth,
    call: &Call,
    arrival: &Arrival,
    candidates: linking::Candidates,
) -> Outcome<Admission> {
    let mut newcomer = Newcomer::new(arrival)?;
    let Linking { decision, domain, address, verified } =
        linking::decide(&auth.settings, arrival, candidates);
    let mut new = None;
    let (id, account, mut steps) = match decision {
        Decision::Create => {
            let (user, steps) = create(auth, call, &newcomer, &address, domain != "default")?;
            let id = user.id;
            new = Some(user);
            (id, None, steps)
        }
        Decision::Link(user) => {
            let mut steps = vec![newcomer.add(user.id, call), newcomer.merge(user.id, call)];
            steps.push(users::refresh_providers(user.id, call.now));
            steps.extend(newcomer.linked(auth, &Actor::user(&user), call));
            (user.id, Some(user), steps)
        }
        Decision::Exists { user, identity } => {
            newcomer.identity = identity;
            let steps = vec![
                identities::renew(identity, &newcomer.data, call.now),
                newcomer.merge(user.id, call),
                users::refresh_providers(user.id, call.now),
            ];
            (user.id, Some(user), steps)
        }
        Decision::Apart => return Err(refuse(422, "email_exists", EMAIL_TAKEN)),
        Decision::Several => {
            let message = format!(
                "Multiple accounts with the same email address in the same linking domain detected: {domain}"
            );
            return Err(refuse(500, "unexpected_failure", message));
        }
    };
    let settled = Settled { id, account: account.as_deref(), address: &address, verified };
    let (more, refusal) = prove(auth, call, &newcomer, &settled)?;
    steps.extend(more);
    Ok(Admission { user: id, steps, refusal, new })
}

/// The account that somebody was found to belong to.
struct Settled<'a> {
    id: Uuid,
    /// As it was; nothing for a new one.
    account: Option<&'a User>,
    address: &'a str,
    /// Whether the provider has verified that address.
    verified: bool,
}

/// Whether somebody is let in, and what has to be done about the address before.
fn prove(
    auth: &Auth,
    call: &Call,
    newcomer: &Newcomer<'_>,
    settled: &Settled<'_>,
) -> Outcome<(Vec<Step>, Option<Refusal>)> {
    let Settled { id, account, address, verified } = *settled;
    if account.is_some_and(|user| user.is_banned(call.now)) {
        return Err(refuse(403, "user_banned", "User is banned"));
    }
    let name = newcomer.data.get("full_name").cloned();
    let actor = account.map_or_else(|| Actor::new_user(id, address, name), Actor::user);
    let needs_none = newcomer.arrival.email_optional && address.is_empty();
    let is_confirmed = account.is_some_and(|user| user.email_confirmed_at.is_some());
    if newcomer.provider() == "web3" || needs_none || is_confirmed {
        return Ok((auth.audit(&actor, "login", newcomer.traits(), call), None));
    }
    let mut steps = account.map(|user| removal(newcomer, user, call)).unwrap_or_default();
    if verified {
        steps.extend(auth.audit(&actor, "user_signedup", newcomer.traits(), call));
        steps.extend(confirmation(id, call));
        return Ok((steps, None));
    }
    if !address.is_empty() {
        let to =
            Recipient { user: id, address, last_sent: account.and_then(|user| user.confirmation_sent_at) };
        steps.extend(message::mail(auth, call, Kind::Signup, to, None)?);
    }
    let refusal = (!auth.settings.external.allow_unverified_email)
        .then(|| needs_verification(newcomer.provider(), !address.is_empty()));
    Ok((steps, refusal))
}

fn needs_verification(provider: &str, is_sent: bool) -> Refusal {
    let what = if is_sent {
        format!("A confirmation email has been sent to your {provider} email")
    } else {
        format!("Verify the email with {provider} in order to sign in")
    };
    refuse(422, "provider_email_needs_verification", format!("Unverified email with {provider}. {what}"))
}

/// A new account with this identity.
fn create(
    auth: &Auth,
    call: &Call,
    newcomer: &Newcomer<'_>,
    address: &str,
    is_sso: bool,
) -> Outcome<(NewUser, Vec<Step>)> {
    if auth.settings.disable_signup {
        return Err(refuse(422, "signup_disabled", "Signups not allowed for this instance"));
    }
    let id = Uuid::new_v4();
    let mut app_metadata = Map::new();
    app_metadata.insert("provider".to_owned(), json!(newcomer.provider()));
    app_metadata.insert("providers".to_owned(), json!([newcomer.provider()]));
    let user = NewUser {
        id,
        audience: newcomer.arrival.audience.clone(),
        role: auth.settings.jwt_default_role.clone(),
        email: address.to_owned(),
        phone: String::new(),
        password_hash: String::new(),
        app_metadata,
        user_metadata: newcomer.data.clone(),
        is_anonymous: false,
        is_sso,
    };
    let steps = vec![users::insert(&user, call.now), newcomer.add(id, call)];
    Ok((user, steps))
}

/// Takes from an account that nobody confirmed everything that somebody else may have put there to get into it
/// later: password, number, metadata, factors, passkeys, other identities, sessions.
fn removal(newcomer: &Newcomer<'_>, user: &User, call: &Call) -> Vec<Step> {
    let patch = Patch::new()
        .null("encrypted_password")
        .null("phone")
        .null("phone_confirmed_at")
        .text("phone_change", "")
        .text("phone_change_token", "")
        .object("raw_user_meta_data", &newcomer.data);
    let mut steps = vec![
        patch.on(user.id, call.now),
        identities::delete_others(user.id, newcomer.identity),
        users::refresh_providers(user.id, call.now),
        sessions::delete_all(user.id, None),
    ];
    steps.extend(factors::forget(user.id));
    steps
}

/// The address is theirs.
fn confirmation(user: Uuid, call: &Call) -> [Step; 2] {
    let mut verified = Map::new();
    verified.insert("email_verified".to_owned(), json!(true));
    let patch = Patch::new()
        .text("confirmation_token", "")
        .time("email_confirmed_at", Some(call.now))
        .merge("raw_user_meta_data", verified);
    [patch.on(user, call.now), one_time_tokens::clear(user, None)]
}

/// Somebody invited answers by way of a provider.
pub(super) fn accept(auth: &Auth, call: &Call, arrival: &Arrival, user: Option<User>) -> Outcome<Admission> {
    let newcomer = Newcomer::new(arrival)?;
    let user = user.ok_or_else(|| refuse(404, "invite_not_found", "Invite not found"))?;
    if !arrival.profile.emails().iter().any(|email| email.address == user.email()) {
        let message = "Invited email does not match emails from external provider";
        return Err(refuse(400, "validation_failed", message));
    }
    if user.is_banned(call.now) {
        return Err(refuse(403, "user_banned", "User is banned"));
    }
    let mut steps = vec![newcomer.add(user.id, call)];
    steps.extend(auth.audit(&Actor::user(&user), "invite_accepted", newcomer.traits(), call));
    steps.extend(removal(&newcomer, &user, call));
    steps.extend(confirmation(user.id, call));
    Ok(Admission { user: user.id, steps, refusal: None, new: None })
}

/// Somebody signed in adds an identity. `holder` is whoever has it, `rival` whoever else has its address.
pub(super) fn link(
    auth: &Auth,
    call: &Call,
    arrival: &Arrival,
    target: Option<User>,
    holder: Option<&User>,
    rival: Option<&User>,
) -> Outcome<Admission> {
    let newcomer = Newcomer::new(arrival)?;
    let target = target.ok_or_else(|| refuse(422, "user_not_found", "Linking target user not found"))?;
    if let Some(holder) = holder {
        let whose = if holder.id == target.id { "" } else { " to another user" };
        let message = format!("Identity is already linked{whose}");
        return Err(refuse(422, "identity_already_exists", message));
    }
    if target.is_banned(call.now) {
        return Err(refuse(403, "user_banned", "User is banned"));
    }
    let mut steps = vec![newcomer.add(target.id, call)];
    steps.extend(newcomer.linked(auth, &Actor::user(&target), call));
    let details = json!({ "provider": newcomer.provider() });
    let what = Notification::IdentityLinked;
    steps.extend(notice::step(auth, call, what, &target, target.email(), details));
    let mut refusal = None;
    if target.email().is_empty() {
        refusal = adopt(auth, call, &newcomer, &target, rival, &mut steps)?;
    }
    steps.push(users::refresh_providers(target.id, call.now));
    Ok(Admission { user: target.id, steps, refusal, new: None })
}

/// An account without an address gets that of its new identity.
fn adopt(
    auth: &Auth,
    call: &Call,
    newcomer: &Newcomer<'_>,
    target: &User,
    rival: Option<&User>,
    steps: &mut Vec<Step>,
) -> Outcome<Option<Refusal>> {
    let address = newcomer.data.get("email").and_then(Value::as_str).unwrap_or_default();
    let permanent =
        |patch: Patch| if target.is_anonymous { patch.flag("is_anonymous", false) } else { patch };
    if address.is_empty() {
        if target.is_anonymous {
            steps.push(permanent(Patch::new()).on(target.id, call.now));
        }
        return Ok(None);
    }
    if rival.is_some_and(|user| user.id != target.id) {
        return Err(refuse(400, "email_exists", EMAIL_TAKEN));
    }
    steps.push(Patch::new().text("email", address).on(target.id, call.now));
    if newcomer.data.get("email_verified") == Some(&Value::Bool(true)) {
        steps.extend(confirmation(target.id, call));
        if target.is_anonymous {
            steps.push(permanent(Patch::new()).on(target.id, call.now));
        }
        return Ok(None);
    }
    let to = Recipient { user: target.id, address, last_sent: target.confirmation_sent_at };
    steps.extend(message::mail(auth, call, Kind::Signup, to, None)?);
    let provider = newcomer.provider();
    let message = format!(
        "Unverified email with {provider}. A confirmation email has been sent to your {provider} email"
    );
    Ok(Some(refuse(422, "email_not_confirmed", message)))
}
