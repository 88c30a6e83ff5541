//! `auth.refresh_tokens`.

use super::db::Step;
use crate::moment::Moment;
use pg::{null, param, text};
use uuid::Uuid;

/// The token's row, locked; nothing when somebody else holds it.
pub(crate) fn lock(token: &str) -> Step {
    Step::new(include_str!("sql/refresh_token_lock.sql"), [text(token)])
}

/// How many rows there are of the token and of its session, whoever holds them.
pub(crate) fn exists(token: &str) -> Step {
    Step::new(include_str!("sql/refresh_token_exists.sql"), [text(token)])
}

/// The newest token of the token's session that is not revoked.
pub(crate) fn active(token: &str) -> Step {
    Step::new(include_str!("sql/refresh_token_active.sql"), [text(token)])
}

/// The newest token of a session that is not revoked.
pub(crate) fn active_of_session(session: Uuid) -> Step {
    Step::new(include_str!("sql/refresh_token_active_of_session.sql"), [param(session)])
}

pub(crate) fn insert(token: &str, user: Uuid, session: Uuid, parent: Option<&str>, now: Moment) -> Step {
    let parent = parent.map_or_else(null, text);
    let params = [text(token), param(user), param(session), parent, param(now)];
    Step::new(include_str!("sql/refresh_token_insert.sql"), params)
}

pub(crate) fn revoke(token: &str, now: Moment) -> Step {
    Step::new(include_str!("sql/refresh_token_revoke.sql"), [text(token), param(now)])
}

pub(crate) fn revoke_family(session: Uuid, now: Moment) -> Step {
    Step::new(include_str!("sql/refresh_token_revoke_family.sql"), [param(session), param(now)])
}

pub(crate) fn delete(token: &str) -> Step {
    Step::new(include_str!("sql/refresh_token_delete.sql"), [text(token)])
}
