//! `auth.flow_state`: sign-ins that end with a code exchange.

use super::db::Step;
use crate::flow::pkce::Challenge;
use crate::moment::Moment;
use pg::{param, text};
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
