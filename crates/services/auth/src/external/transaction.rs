//! An arrival from beginning to end, in one transaction.

use super::admission::{self, Admission};
use super::{Arrival, linking};
use crate::Auth;
use crate::call::Call;
use crate::handover::{self, Unsent};
use crate::hook;
use crate::issue::{Grant, NewSession};
use crate::moment::Moment;
use crate::refusal::{Outcome, Refusal, database, refuse};
use crate::store::audit::Actor;
use crate::store::db::{Step, Unit, first, last};
use crate::store::records::{FlowState, User};
use crate::store::users::NewUser;
use crate::store::{flow_states, users};
use serde_json::Value;
use uuid::Uuid;

const FAILED: &str = "Database error saving new user";

/// What somebody arrives for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// To sign in, or up.
    SignIn,
    /// To answer an invitation, known by its token.
    Accept(String),
    /// To add an identity to this account.
    Link(Uuid),
}

/// How it is to end.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// With a session that is noted with this method. The flow, if there is one, is used up.
    Session { method: &'static str, flow: Option<Uuid> },
    /// With a code for whoever began the flow, who then gets the provider's tokens too.
    Code { flow: Uuid, access_token: String, refresh_token: String },
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Session(Box<Grant>),
    Code(String),
}

/// What else there is to an arrival.
#[derive(Debug, Default)]
pub(crate) struct Besides {
    /// The proof is good once.
    pub(crate) spent: Option<Spent>,
    /// When the session ends, whatever its user does.
    pub(crate) session_end: Option<Moment>,
    /// What the audit log is told of the sign-in besides.
    pub(crate) traits: Option<Value>,
}

/// A proof that is good once.
#[derive(Debug)]
pub(crate) struct Spent {
    /// Returns a row to whoever spends it first.
    pub(crate) step: Step,
    /// Said to everybody else.
    pub(crate) refusal: fn() -> Refusal,
}

/// Lets somebody in whom a provider vouches for.
pub(crate) async fn run(
    auth: &Auth,
    call: &Call,
    arrival: &Arrival,
    purpose: &Purpose,
    ending: &Ending,
) -> Outcome<Ended> {
    run_with(auth, call, arrival, purpose, ending, &Besides::default()).await
}

/// As [`run`], with more to it.
pub(crate) async fn run_with(
    auth: &Auth,
    call: &Call,
    arrival: &Arrival,
    purpose: &Purpose,
    ending: &Ending,
    besides: &Besides,
) -> Outcome<Ended> {
    match attempt(auth, call, arrival, purpose, ending, besides).await {
        // Somebody else made the account or the identity meanwhile: the second time it is found.
        Err(Trouble::Taken(_)) => {
            attempt(auth, call, arrival, purpose, ending, besides).await.map_err(Trouble::refusal)
        }
        other => other.map_err(Trouble::refusal),
    }
}

enum Trouble {
    Taken(Refusal),
    Other(Refusal),
}

impl Trouble {
    fn refusal(self) -> Refusal {
        match self {
            Trouble::Taken(refusal) | Trouble::Other(refusal) => refusal,
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Trouble::Other(refusal)
    }
}

fn unsent(unsent: Unsent) -> Trouble {
    match unsent {
        Unsent::Database(error) => trouble(error),
        Unsent::Refused(refusal) => Trouble::Other(refusal),
    }
}

fn trouble(error: pg::Error) -> Trouble {
    let constraint = error.db().and_then(|report| report.constraint.as_deref());
    let is_taken =
        matches!(constraint, Some("users_email_partial_key" | "identities_provider_id_provider_unique"));
    let refusal = database(FAILED)(error);
    if is_taken { Trouble::Taken(refusal) } else { Trouble::Other(refusal) }
}

async fn attempt(
    auth: &Auth,
    call: &Call,
    arrival: &Arrival,
    purpose: &Purpose,
    ending: &Ending,
    besides: &Besides,
) -> Result<Ended, Trouble> {
    let mut steps: Vec<Step> = besides.spent.iter().map(|spent| spent.step.clone()).collect();
    let (spending, flow) = (steps.len(), ending.flow());
    steps.extend(flow.map(|flow| match ending {
        Ending::Session { .. } => flow_states::take_whole(flow),
        Ending::Code { .. } => flow_states::lock(flow),
    }));
    steps.extend(purpose.load(arrival));
    let (unit, results) = auth.db.begin(steps).await.map_err(trouble)?;
    let (spent_rows, results) = results.split_at(spending);
    let (flow_rows, found) = results.split_at(usize::from(flow.is_some()));
    let decided = besides
        .check_spent(spent_rows)
        .and_then(|()| code_of(flow_rows))
        .and_then(|code| purpose.admit(auth, call, arrival, found).map(|admission| (admission, code)));
    let (admission, code) = match decided {
        Ok(decided) => decided,
        Err(refusal) => {
            unit.rollback().await.map_err(trouble)?;
            return Err(refusal.into());
        }
    };
    let unit = match &admission.new {
        Some(new) => ask_before(auth, call, unit, new).await?,
        None => unit,
    };
    let Admission { user, mut steps, refusal, new } = admission;
    let id = user;
    if let Some(traits) = &besides.traits {
        let actor = Actor::new_user(user, "", None);
        steps.extend(auth.audit(&actor, "login", Some(traits.clone()), call));
    }
    if let Some(refusal) = refusal {
        handover::finish(auth, call, unit, steps).await.map_err(unsent)?;
        tell(auth, call, id, new.is_some()).await?;
        return Err(refusal.into());
    }
    match ending {
        Ending::Session { method, .. } => {
            let session = NewSession::new(user, method).until(besides.session_end);
            steps.extend(session.steps(call));
            let results = handover::finish(auth, call, unit, steps).await.map_err(unsent)?;
            let user = last(&results).map_err(trouble)?;
            tell(auth, call, id, new.is_some()).await?;
            Ok(Ended::Session(Box::new(session.grant(auth, call, user).await?)))
        }
        Ending::Code { flow, access_token, refresh_token } => {
            steps.push(flow_states::complete(*flow, user, access_token, refresh_token, call.now));
            handover::finish(auth, call, unit, steps).await.map_err(unsent)?;
            tell(auth, call, id, new.is_some()).await?;
            Ok(Ended::Code(code))
        }
    }
}

/// Asks the hook whether somebody may become a user: a function in the transaction, a server while none is open.
async fn ask_before(auth: &Auth, call: &Call, mut unit: Unit, new: &NewUser) -> Result<Unit, Trouble> {
    let Some(hook) = &auth.settings.hooks.before_user_created else { return Ok(unit) };
    if hook.is_function() {
        return match hook::before_user_created(auth, call, new, Some(&mut unit)).await {
            Ok(()) => Ok(unit),
            Err(refusal) => {
                unit.rollback().await.map_err(trouble)?;
                Err(refusal.into())
            }
        };
    }
    let paused = unit.pause().await.map_err(trouble)?;
    hook::before_user_created(auth, call, new, None).await?;
    let resumed = paused.resume(&auth.db).await.map_err(trouble)?;
    resumed.ok_or_else(|| Trouble::Taken(handover::changed()))
}

/// Tells the hook of new users.
async fn tell(auth: &Auth, call: &Call, user: Uuid, is_new: bool) -> Outcome<()> {
    if is_new { hook::after_user_created(auth, call, user).await } else { Ok(()) }
}

/// The code of a flow that nobody has ended; empty when there is no flow.
fn code_of(rows: &[pg::Rows]) -> Outcome<String> {
    let Some(rows) = rows.first() else { return Ok(String::new()) };
    let flow: Option<FlowState> = first(rows).map_err(database(FAILED))?;
    let flow = flow.filter(|flow| flow.user_id.is_none());
    let used = || refuse(400, "flow_state_already_used", "State has already been used");
    Ok(flow.ok_or_else(used)?.auth_code.unwrap_or_default())
}

impl Besides {
    fn check_spent(&self, rows: &[pg::Rows]) -> Outcome<()> {
        match (&self.spent, rows.first()) {
            (Some(spent), Some(rows)) if rows.is_empty() => Err((spent.refusal)()),
            _ => Ok(()),
        }
    }
}

impl Ending {
    fn flow(&self) -> Option<Uuid> {
        match self {
            Ending::Session { flow, .. } => *flow,
            Ending::Code { flow, .. } => Some(*flow),
        }
    }
}

impl Purpose {
    fn load(&self, arrival: &Arrival) -> Vec<Step> {
        match self {
            Purpose::SignIn => linking::steps(arrival),
            Purpose::Accept(token) => vec![users::by_token_hash(token, &["confirmation_token"]).locking("u")],
            Purpose::Link(target) => {
                let profile = &arrival.profile;
                let data = profile.identity_data();
                let address = data.get("email").and_then(serde_json::Value::as_str).unwrap_or_default();
                vec![
                    users::by_id(*target).locking("u"),
                    users::by_identity(&arrival.provider, profile.subject()),
                    users::duplicate_of_email(address, &arrival.audience, Some(*target)),
                ]
            }
        }
    }

    fn admit(&self, auth: &Auth, call: &Call, arrival: &Arrival, found: &[pg::Rows]) -> Outcome<Admission> {
        let user = |n: usize| -> Outcome<Option<User>> {
            found.get(n).map(first).transpose().map(Option::flatten).map_err(database(FAILED))
        };
        match self {
            Purpose::SignIn => {
                let candidates = linking::read(found).map_err(database(FAILED))?;
                admission::sign_in(auth, call, arrival, candidates)
            }
            Purpose::Accept(_) => admission::accept(auth, call, arrival, user(0)?),
            Purpose::Link(_) => {
                admission::link(auth, call, arrival, user(0)?, user(1)?.as_ref(), user(2)?.as_ref())
            }
        }
    }
}
