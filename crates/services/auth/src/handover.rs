//! Running statements that write messages, and what becomes of the messages then.
//!
//! Most are left in the outbox, where the sender finds them once the transaction has been committed. Where the
//! project has a hook for a channel, the hook is asked before the commit, with the transaction still open: what it
//! refuses has not happened.

use crate::Auth;
use crate::call::Call;
use crate::hook;
use crate::message;
use crate::refusal::{Outcome, Refusal, database, internal};
use crate::settings::Settings;
use crate::sms;
use crate::store::db::{Step, Unit, all, first};
use crate::store::outbox::{self, Channel, Written};
use crate::store::records::User;
use crate::store::users;
use pg::Rows;
use serde_json::{Map, Value, json};

const CHANNELS: [Channel; 2] = [Channel::Email, Channel::Sms];

/// How the messages of a channel leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// From the outbox, after the commit, tried again until it works or is too late.
    Outbox,
    /// By a hook of the project, before the commit.
    Hook,
    /// By a company that sends text messages, before the commit.
    Gateway,
}

impl Delivery {
    fn of(settings: &Settings, channel: Channel) -> Delivery {
        let (hook, gateway) = match channel {
            Channel::Email => (settings.hooks.send_email.is_some(), false),
            Channel::Sms => (settings.hooks.send_sms.is_some(), settings.sms.gateway.is_some()),
        };
        match (hook, gateway) {
            (true, _) => Delivery::Hook,
            (false, true) => Delivery::Gateway,
            (false, false) => Delivery::Outbox,
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
    let channels = at_once(&auth.settings);
    if channels.is_empty() {
        let results = auth.db.run(steps).await?;
        auth.ring();
        return Ok(results);
    }
    let (unit, results) = auth.db.begin(steps).await?;
    finish(auth, call, unit, Vec::new()).await?;
    Ok(results)
}

/// Runs the last steps of a transaction, has its messages sent, and commits.
pub(crate) async fn finish(
    auth: &Auth,
    call: &Call,
    mut unit: Unit,
    mut steps: Vec<Step>,
) -> Result<Vec<Rows>, Unsent> {
    let channels = at_once(&auth.settings);
    if channels.is_empty() {
        let results = unit.commit(steps).await?;
        auth.ring();
        return Ok(results);
    }
    steps.push(outbox::take(&channels));
    let mut results = unit.run(steps).await?;
    let written: Vec<Written> = results.pop().map(|rows| all(&rows)).transpose()?.unwrap_or_default();
    if let Err(refusal) = hand_over(auth, call, &mut unit, &written).await {
        unit.rollback().await?;
        return Err(Unsent::Refused(refusal));
    }
    unit.commit(Vec::new()).await?;
    auth.ring();
    Ok(results)
}

/// The channels whose messages do not wait in the outbox.
fn at_once(settings: &Settings) -> Vec<Channel> {
    CHANNELS.into_iter().filter(|channel| Delivery::of(settings, *channel) != Delivery::Outbox).collect()
}

/// Gives messages to the hooks or the companies of their channels.
async fn hand_over(auth: &Auth, call: &Call, unit: &mut Unit, written: &[Written]) -> Outcome<()> {
    for message in written {
        if let (Delivery::Gateway, Some(gateway)) =
            (Delivery::of(&auth.settings, message.channel), &auth.settings.sms.gateway)
        {
            Box::pin(sms::send(auth, call, gateway, message)).await?;
            continue;
        }
        let rows = unit.run(vec![users::by_id(message.user_id)]).await;
        let rows = rows.map_err(database("Database error finding user"))?;
        let user: Option<User> =
            rows.first().map(first).transpose().map_err(database("Database error finding user"))?.flatten();
        let user = serde_json::to_value(&user).map_err(|error| internal("Unexpected failure", error))?;
        let (function, name, key, data) = match message.channel {
            Channel::Email => {
                let site = message::external_url(auth, call);
                (&auth.settings.hooks.send_email, "send-email", "email_data", email_data(message, &site))
            }
            Channel::Sms => (&auth.settings.hooks.send_sms, "send-sms", "sms", sms_data(message)),
        };
        let Some(function) = function else { continue };
        let mut input = Map::new();
        input.insert("user".to_owned(), user);
        input.insert(key.to_owned(), data);
        hook::ask_in(auth, call, function, name, input, Some(&mut *unit)).await?;
    }
    Ok(())
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
