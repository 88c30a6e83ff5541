//! `auth.sessions` and how they were authenticated.

use super::db::Step;
use crate::flow::session::Assurance;
use crate::moment::Moment;
use model::Secret;
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

/// A session to be made.
#[derive(Debug)]
pub(crate) struct NewRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) client: Option<&'a Client>,
    /// The key of its signed refresh tokens, if it has such.
    pub(crate) key: Option<&'a Secret>,
}

pub(crate) fn insert(row: &NewRow<'_>, device: &Device, now: Moment) -> Step {
    let scopes = row.client.map_or_else(null, |client| text(&client.scopes));
    let client = row.client.map_or_else(null, |client| param(client.id));
    let key = row.key.map_or_else(null, |key| text(key.expose()));
    let agent = text(&device.user_agent);
    let params = [param(row.id), param(row.user), param(now), agent, device.ip(), client, scopes, key];
    Step::new(include_str!("sql/session_insert.sql"), params)
}

/// The session, locked; nothing when somebody else holds it.
pub(crate) fn lock(id: Uuid) -> Step {
    Step::new(session_where!("where s.id = $1 for no key update of s skip locked"), [param(id)])
}

/// Whether there is such a session, whoever holds it.
pub(crate) fn exists(id: Uuid) -> Step {
    Step::new("select exists (select from auth.sessions s where s.id = $1)", [param(id)])
}

/// The sessions of a session's user.
pub(crate) fn of_session_user(id: Uuid) -> Step {
    Step::new(
        session_where!("where s.user_id = (select o.user_id from auth.sessions o where o.id = $1)"),
        [param(id)],
    )
}

/// Sets the counter of signed refresh tokens.
pub(crate) fn set_counter(id: Uuid, counter: i64) -> Step {
    let sql = "update auth.sessions set refresh_token_counter = $2 where id = $1";
    Step::new(sql, [param(id), param(counter)])
}

/// Gives a session signed refresh tokens.
pub(crate) fn set_key(id: Uuid, key: &Secret, counter: i64) -> Step {
    let sql =
        "update auth.sessions set refresh_token_hmac_key = $2, refresh_token_counter = $3 where id = $1";
    Step::new(sql, [param(id), text(key.expose()), param(counter)])
}

/// Ends a session at a time, whatever its user does.
pub(crate) fn end_at(id: Uuid, end: Moment) -> Step {
    Step::new(include_str!("sql/session_end_at.sql"), [param(id), param(end)])
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
