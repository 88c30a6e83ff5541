//! `auth.flow_state`: sign-ins that end with a code exchange.

use super::db::Step;
use crate::flow::pkce::Challenge;
use crate::moment::Moment;
use pg::{null, param, text};
use uuid::Uuid;

/// Remembers the challenge of a flow of this user.
pub(crate) fn insert(user: Uuid, provider: &str, method: &str, challenge: &Challenge, now: Moment) -> Step {
    let params = [
        param(Uuid::new_v4()),
        param(user),
        param(Uuid::new_v4()),
        text(&challenge.challenge),
        text(challenge.method),
        text(provider),
        text(method),
        param(now),
    ];
    Step::new(include_str!("sql/flow_state_insert.sql"), params)
}

pub(crate) fn by_code(code: &str) -> Step {
    Step::new(include_str!("sql/flow_state_by_code.sql"), [text(code)])
}

/// Gives the user's newest flow of this method a code. Returns a row when there is one.
pub(crate) fn issue(user: Uuid, method: &str, code: &str, now: Moment) -> Step {
    let params = [param(user), text(method), text(code), param(now)];
    Step::new(include_str!("sql/flow_state_issue.sql"), params)
}

/// Uses a flow up. Returns a row to one caller only.
pub(crate) fn take(id: Uuid) -> Step {
    Step::new(include_str!("sql/flow_state_take.sql"), [param(id)])
}

/// The beginning of a sign-in at a provider. Its id is the state that the provider hands back.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) id: Uuid,
    pub(crate) provider: &'a str,
    pub(crate) challenge: Option<&'a Challenge>,
    pub(crate) invite_token: &'a str,
    /// Where it ends.
    pub(crate) referrer: &'a str,
    /// The row that keeps our own verifier.
    pub(crate) client_state: Option<Uuid>,
    /// Who adds an identity.
    pub(crate) target: Option<Uuid>,
    pub(crate) email_optional: bool,
}

/// Remembers a sign-in that goes to a provider.
pub(crate) fn start(start: &Start<'_>, now: Moment) -> Step {
    let optional = |value: &str| if value.is_empty() { null() } else { text(value) };
    let challenge = start.challenge;
    let params = [
        param(start.id),
        challenge.map_or_else(null, |_| param(Uuid::new_v4())),
        challenge.map_or_else(null, |challenge| text(&challenge.challenge)),
        challenge.map_or_else(null, |challenge| text(challenge.method)),
        text(start.provider),
        optional(start.invite_token),
        optional(start.referrer),
        start.client_state.map_or_else(null, param),
        start.target.map_or_else(null, param),
        param(start.email_optional),
        param(now),
    ];
    Step::new(include_str!("sql/flow_state_start.sql"), params)
}

pub(crate) fn by_id(id: Uuid) -> Step {
    Step::new(include_str!("sql/flow_state_by_id.sql"), [param(id)])
}

/// The flow, locked until the transaction ends.
pub(crate) fn lock(id: Uuid) -> Step {
    by_id(id).locking("f")
}

/// Uses a flow up and returns it, to one caller only.
pub(crate) fn take_whole(id: Uuid) -> Step {
    Step::new(include_str!("sql/flow_state_take_whole.sql"), [param(id)])
}

/// Notes who came back from the provider, and with which tokens.
pub(crate) fn complete(id: Uuid, user: Uuid, access: &str, refresh: &str, now: Moment) -> Step {
    let params = [param(id), param(user), text(access), text(refresh), param(now)];
    Step::new(include_str!("sql/flow_state_complete.sql"), params)
}
