//! `auth.oauth_authorizations`, requests of applications for a user's consent, and `auth.oauth_consents`, what
//! users have granted.

use super::db::Step;
use super::oauth_clients::Client;
use crate::flow::pkce::Challenge;
use crate::moment::Moment;
use pg::{Param, null, param, text};
use serde::Deserialize;
use uuid::Uuid;

/// A request about to be written.
#[derive(Debug)]
pub(crate) struct NewAuthorization<'a> {
    /// The name by which the site's page asks for it.
    pub(crate) authorization_id: &'a str,
    pub(crate) client: Uuid,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) state: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) challenge: &'a Challenge,
    pub(crate) nonce: &'a str,
    pub(crate) expires_at: Moment,
}

/// A row, with what else the decision needs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Authorization {
    pub(crate) id: Uuid,
    pub(crate) authorization_id: String,
    pub(crate) client_id: Uuid,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
    pub(crate) status: String,
    pub(crate) expires_at: Moment,
    pub(crate) nonce: Option<String>,
    /// Nothing when the client was deleted, or not asked for.
    #[serde(default)]
    pub(crate) client: Option<Client>,
    /// The scopes that the user has granted the client before.
    #[serde(default)]
    pub(crate) granted: Option<String>,
}

/// What a user has granted an application.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Consent {
    pub(crate) scopes: String,
    pub(crate) granted_at: Moment,
    pub(crate) client: Client,
}

fn optional(value: &str) -> Param {
    if value.is_empty() { null() } else { text(value) }
}

pub(crate) fn insert(new: &NewAuthorization<'_>, now: Moment) -> Step {
    let params = [
        param(Uuid::new_v4()),
        text(new.authorization_id),
        param(new.client),
        text(new.redirect_uri),
        text(new.scope),
        optional(new.state),
        optional(new.resource),
        text(&new.challenge.challenge),
        text(new.challenge.method),
        optional(new.nonce),
        param(now),
        param(new.expires_at),
    ];
    Step::new(include_str!("sql/oauth_authorization_insert.sql"), params)
}

/// The request with its client and the user's consent, locked; nothing when somebody else holds it.
pub(crate) fn lock(authorization_id: &str, user: Uuid) -> Step {
    Step::new(include_str!("sql/oauth_authorization_lock.sql"), [text(authorization_id), param(user)])
}

/// The request that a code answers.
pub(crate) fn by_code(code: &str) -> Step {
    Step::new(include_str!("sql/oauth_authorization_by_code.sql"), [text(code)])
}

/// Takes the request of a code away. It affects one row for one of several who try.
pub(crate) fn take(code: &str, client: Uuid) -> Step {
    Step::new(include_str!("sql/oauth_authorization_take.sql"), [text(code), param(client)])
}

/// Notes who was asked first.
pub(crate) fn claim(id: Uuid, user: Uuid) -> Step {
    Step::new(include_str!("sql/oauth_authorization_claim.sql"), [param(id), param(user)])
}

pub(crate) fn approve(id: Uuid, code: &str, now: Moment) -> Step {
    Step::new(include_str!("sql/oauth_authorization_approve.sql"), [param(id), text(code), param(now)])
}

/// Ends a request: `denied` or `expired`.
pub(crate) fn close(id: Uuid, status: &'static str) -> Step {
    Step::new(include_str!("sql/oauth_authorization_close.sql"), [param(id), text(status)])
}

/// Notes a consent in the place of an earlier one.
pub(crate) fn grant(user: Uuid, client: Uuid, scopes: &str, now: Moment) -> Step {
    let params = [param(Uuid::new_v4()), param(user), param(client), text(scopes), param(now)];
    Step::new(include_str!("sql/oauth_consent_grant.sql"), params)
}

pub(crate) fn consents(user: Uuid) -> Step {
    Step::new(include_str!("sql/oauth_consent_list.sql"), [param(user)])
}

pub(crate) fn revoke(user: Uuid, client: Uuid, now: Moment) -> Step {
    Step::new(include_str!("sql/oauth_consent_revoke.sql"), [param(user), param(client), param(now)])
}
