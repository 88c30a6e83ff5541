//! `auth.sessions` and how they were authenticated.

use super::db::Step;
use crate::flow::session::Assurance;
use crate::moment::Moment;
use pg::{null, param, text};
use std::net::IpAddr;
use uuid::Uuid;

macro_rules! session_where {
    ($condition:literal) => {
        concat!(include_str!("sql/session.sql"), $condition)
    };
}

pub(crate) fn by_id(id: Uuid) -> Step {
    Step::new(session_where!("where s.id = $1"), [param(id)])
}

/// The sessions of a refresh token's user.
pub(crate) fn of_token_user(token: &str) -> Step {
    Step::new(
        session_where!(
            "where s.user_id = (select t.user_id::uuid from auth.refresh_tokens t where t.token = $1)"
        ),
        [text(token)],
    )
}

/// The session of a refresh token, locked; nothing when somebody else holds it.
pub(crate) fn lock_of_token(token: &str) -> Step {
    Step::new(include_str!("sql/session_lock.sql"), [text(token)])
}

/// Locks all sessions of a user. Who ends several of them takes them in this order, so that two who do wait for
/// each other instead of one for the other's.
pub(crate) fn lock_all(user: Uuid) -> Step {
    Step::new(include_str!("sql/session_lock_all.sql"), [param(user)])
}

/// Where a session is used from.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) user_agent: String,
    pub(crate) ip: Option<IpAddr>,
}

impl Device {
    fn ip(&self) -> pg::Param {
        self.ip.map_or_else(null, param)
    }
}

/// The application that a session belongs to, and what it may know.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: Uuid,
    pub(crate) scopes: String,
}

pub(crate) fn insert(id: Uuid, user: Uuid, device: &Device, client: Option<&Client>, now: Moment) -> Step {
    let scopes = client.map_or_else(null, |client| text(&client.scopes));
    let client = client.map_or_else(null, |client| param(client.id));
    let params = [param(id), param(user), param(now), text(&device.user_agent), device.ip(), client, scopes];
    Step::new(include_str!("sql/session_insert.sql"), params)
}

/// Notes a use.
pub(crate) fn touch(id: Uuid, device: &Device, now: Moment) -> Step {
    let params = [param(id), param(now), text(&device.user_agent), device.ip()];
    Step::new(include_str!("sql/session_touch.sql"), params)
}

/// Notes how the session was authenticated.
pub(crate) fn add_method(session: Uuid, method: &str, now: Moment) -> Step {
    let params = [param(Uuid::new_v4()), param(session), text(method), param(now)];
    Step::new(include_str!("sql/session_method_add.sql"), params)
}

/// Sets the level of a session and the factor that raised it.
pub(crate) fn assure(id: Uuid, level: Assurance, factor: Option<Uuid>, now: Moment) -> Step {
    let params = [param(id), text(level.as_str()), factor.map_or_else(null, param), param(now)];
    Step::new(include_str!("sql/session_assure.sql"), params)
}

pub(crate) fn delete(id: Uuid, user: Uuid) -> Step {
    Step::new(include_str!("sql/session_delete.sql"), [param(id), param(user)])
}

/// Ends a user's sessions at an application.
pub(crate) fn delete_of_client(user: Uuid, client: Uuid) -> Step {
    Step::new(include_str!("sql/session_delete_of_client.sql"), [param(user), param(client)])
}

/// Ends all sessions of a user but one.
pub(crate) fn delete_all(user: Uuid, except: Option<Uuid>) -> Step {
    Step::new(include_str!("sql/session_delete_all.sql"), [param(user), except.map_or_else(null, param)])
}

/// Ends a user's sessions without a second factor.
pub(crate) fn delete_below_aal2(user: Uuid) -> Step {
    Step::new(include_str!("sql/session_delete_below.sql"), [param(user)])
}

/// Takes from sessions what a factor had proved.
pub(crate) fn downgrade(user: Uuid, factor: Uuid, method: &str, now: Moment) -> [Step; 2] {
    [
        Step::new(include_str!("sql/session_method_delete.sql"), [param(user), param(factor), text(method)]),
        Step::new(include_str!("sql/session_downgrade.sql"), [param(user), param(factor), param(now)]),
    ]
}
