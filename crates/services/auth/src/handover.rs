//! Running statements that write messages, and what becomes of the messages then.
//!
//! Most are left in the outbox, where the sender finds them once the transaction has been committed. Where the
//! project has a hook or a company for a channel, that is asked before the commit: what it refuses has not happened.
//!
//! A function of the database is asked in the open transaction. A server may take its time, which no connection of
//! the database waits for, as a shard's are everybody's: the statements are tried and undone, the server is asked, and
//! they are carried out. Where what they depend on has changed meanwhile, nothing is. News of a change that has been
//! made are sent after it, and a server that does not take them undoes nothing.

use crate::Auth;
use crate::call::Call;
use crate::hook;
use crate::message::external_url;
use crate::refusal::{Outcome, Refusal, database, internal, refuse};
use crate::settings::Settings;
use crate::sms;
use crate::store::db::{Step, Unit, all, first};
use crate::store::outbox::{self, Channel, Written};
use crate::store::records::User;
use crate::store::users;
use pg::Rows;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use uuid::Uuid;

const CHANNELS: [Channel; 2] = [Channel::Email, Channel::Sms];

/// How the messages of a channel leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// From the outbox, after the commit, tried again until it works or is too late.
    Outbox,
    /// By a function of the database, in the transaction.
    Function,
    /// By a server of the project's owner, before the commit.
    Server,
    /// By a company that sends text messages, before the commit.
    Gateway,
}

impl Delivery {
    fn of(settings: &Settings, channel: Channel) -> Delivery {
        let (hook, gateway) = match channel {
            Channel::Email => (&settings.hooks.send_email, false),
            Channel::Sms => (&settings.hooks.send_sms, settings.sms.gateway.is_some()),
        };
        match hook {
            Some(hook) if hook.is_function() => Delivery::Function,
            Some(_) => Delivery::Server,
            None if gateway => Delivery::Gateway,
            None => Delivery::Outbox,
        }
    }
}

/// Why statements with messages were not carried out.
#[derive(Debug)]
pub(crate) enum Unsent {
    Database(pg::Error),
    /// Who was to take the messages did not.
    Refused(Refusal),
}

impl From<pg::Error> for Unsent {
    fn from(error: pg::Error) -> Self {
        Unsent::Database(error)
    }
}

/// For `map_err`: as [`database`], and a refusal stays what it is.
pub(crate) fn failed(message: &'static str) -> impl FnOnce(Unsent) -> Refusal {
    move |unsent| match unsent {
        Unsent::Database(error) => database(message)(error),
        Unsent::Refused(refusal) => refusal,
    }
}

/// Runs steps of which some may write messages, as one transaction, and has the messages sent.
pub(crate) async fn run(auth: &Auth, call: &Call, steps: Vec<Step>) -> Result<Vec<Rows>, Unsent> {
    if at_once(&auth.settings).is_empty() {
        let results = auth.db.run(steps).await?;
        auth.ring();
        return Ok(results);
    }
    let (unit, _) = auth.db.begin(Vec::new()).await?;
    finish(auth, call, unit, steps).await
}

/// Runs the last steps of a transaction, has its messages sent, and commits.
pub(crate) async fn finish(
    auth: &Auth,
    call: &Call,
    unit: Unit,
    steps: Vec<Step>,
) -> Result<Vec<Rows>, Unsent> {
    let channels = at_once(&auth.settings);
    if channels.is_empty() {
        let results = unit.commit(steps).await?;
        auth.ring();
        return Ok(results);
    }
    let mut tried = attempt(unit, steps.clone(), &channels).await?;
    let far: Vec<Written> = tried.written.iter().filter(|message| is_far(auth, message)).cloned().collect();
    let (news, first): (Vec<_>, Vec<_>) = far.into_iter().partition(Written::is_news);
    let users = users_of(auth, &mut tried.unit, first.iter().chain(&news)).await?;
    if !first.is_empty() {
        let paused = tried.unit.pause().await?;
        for message in &first {
            send(auth, call, message, users.get(&message.user_id)).await.map_err(Unsent::Refused)?;
        }
        let unit = paused.resume(&auth.db).await?.ok_or_else(|| Unsent::Refused(changed()))?;
        tried = attempt(unit, steps, &channels).await?;
    }
    let near: Vec<Written> = tried.written.into_iter().filter(|message| !is_far(auth, message)).collect();
    if let Err(refusal) = ask_functions(auth, call, &mut tried.unit, &near).await {
        tried.unit.rollback().await?;
        return Err(Unsent::Refused(refusal));
    }
    tried.unit.commit(Vec::new()).await?;
    auth.ring();
    for message in &news {
        if let Err(refusal) = send(auth, call, message, users.get(&message.user_id)).await {
            tracing::warn!(kind = message.kind, fault = %refusal.fault, "news of a change were not sent");
        }
    }
    Ok(tried.results)
}

/// Said where somebody else changed what a request is about while a server was asked.
pub(crate) fn changed() -> Refusal {
    refuse(409, "conflict", "Something else has changed this at the same time, please try again")
}

/// The channels whose messages do not wait in the outbox.
fn at_once(settings: &Settings) -> Vec<Channel> {
    CHANNELS.into_iter().filter(|channel| Delivery::of(settings, *channel) != Delivery::Outbox).collect()
}

/// Whether a message leaves by a server that is not ours.
fn is_far(auth: &Auth, message: &Written) -> bool {
    matches!(Delivery::of(&auth.settings, message.channel), Delivery::Server | Delivery::Gateway)
}

/// A transaction whose statements have been run, and the messages they wrote.
struct Tried {
    unit: Unit,
    results: Vec<Rows>,
    written: Vec<Written>,
}

async fn attempt(mut unit: Unit, mut steps: Vec<Step>, channels: &[Channel]) -> Result<Tried, pg::Error> {
    steps.push(outbox::take(channels));
    let mut results = unit.run(steps).await?;
    let written = results.pop().map(|rows| all(&rows)).transpose()?.unwrap_or_default();
    Ok(Tried { unit, results, written })
}

/// The users of messages as the API shows them, where a hook is told of them.
async fn users_of(
    auth: &Auth,
    unit: &mut Unit,
    messages: impl Iterator<Item = &Written>,
) -> Result<HashMap<Uuid, Value>, Unsent> {
    let mut users = HashMap::new();
    for message in messages {
        let by_hook = Delivery::of(&auth.settings, message.channel) == Delivery::Server;
        if by_hook && !users.contains_key(&message.user_id) {
            users.insert(message.user_id, user_of(unit, message).await.map_err(Unsent::Refused)?);
        }
    }
    Ok(users)
}

async fn user_of(unit: &mut Unit, message: &Written) -> Outcome<Value> {
    const FAILED: &str = "Database error finding user";
    let rows = unit.run(vec![users::by_id(message.user_id)]).await.map_err(database(FAILED))?;
    let user: Option<User> = rows.first().map(first).transpose().map_err(database(FAILED))?.flatten();
    serde_json::to_value(&user).map_err(|error| internal("Unexpected failure", error))
}

/// Gives a message to the server or the company of its channel. No transaction is open.
async fn send(auth: &Auth, call: &Call, message: &Written, user: Option<&Value>) -> Outcome<()> {
    match (Delivery::of(&auth.settings, message.channel), &auth.settings.sms.gateway) {
        (Delivery::Gateway, Some(gateway)) => Box::pin(sms::send(auth, call, gateway, message)).await,
        _ => ask_hook(auth, call, message, user.cloned().unwrap_or_default(), None).await,
    }
}

/// Gives messages to the functions of their channels.
async fn ask_functions(auth: &Auth, call: &Call, unit: &mut Unit, written: &[Written]) -> Outcome<()> {
    for message in written {
        let user = user_of(unit, message).await?;
        ask_hook(auth, call, message, user, Some(unit)).await?;
    }
    Ok(())
}

async fn ask_hook(
    auth: &Auth,
    call: &Call,
    message: &Written,
    user: Value,
    unit: Option<&mut Unit>,
) -> Outcome<()> {
    let hooks = &auth.settings.hooks;
    let (hook, name, key, data) = match message.channel {
        Channel::Email => {
            let data = email_data(message, &external_url(auth, call));
            (&hooks.send_email, "send-email", "email_data", data)
        }
        Channel::Sms => (&hooks.send_sms, "send-sms", "sms", sms_data(message)),
    };
    let Some(hook) = hook else { return Ok(()) };
    let input = Map::from_iter([("user".to_owned(), user), (key.to_owned(), data)]);
    hook::ask_in(auth, call, hook, name, input, unit).await.map(drop)
}

/// `site` is where links of mails lead, of this service: what templates know by that name is the project's.
fn email_data(message: &Written, site: &str) -> Value {
    let field = |name: &str| message.data.get(name).cloned().unwrap_or_else(|| json!(""));
    json!({
        "token": field("token"),
        "token_hash": field("token_hash"),
        "redirect_to": field("redirect_to"),
        "email_action_type": message.kind,
        "site_url": site,
        "token_new": field("token_new"),
        "token_hash_new": field("token_hash_new"),
        "old_email": field("old_email"),
        "old_phone": field("old_phone"),
        "provider": field("provider"),
        "factor_type": field("factor_type"),
    })
}

fn sms_data(message: &Written) -> Value {
    let mut data = json!({ "otp": message.data.get("token"), "phone": message.recipient });
    if message.kind == "mfa" {
        data["sms_type"] = json!("mfa");
    }
    data
}
