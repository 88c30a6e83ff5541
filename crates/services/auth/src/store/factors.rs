//! `auth.mfa_factors`, `auth.mfa_challenges` and `auth.webauthn_credentials`.

use super::db::Step;
use crate::moment::Moment;
use pg::{null, param, text};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use uuid::Uuid;

/// A factor about to be enrolled.
#[derive(Debug)]
pub(crate) struct NewFactor<'a> {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) name: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) secret: Option<&'a str>,
    pub(crate) phone: Option<&'a str>,
}

pub(crate) fn insert(factor: &NewFactor<'_>, now: Moment) -> Step {
    let params = [
        param(factor.id),
        param(factor.user),
        text(factor.name),
        text(factor.kind),
        factor.secret.map_or_else(null, text),
        factor.phone.map_or_else(null, text),
        param(now),
    ];
    Step::new(include_str!("sql/factor_insert.sql"), params)
}

pub(crate) fn delete(id: Uuid, user: Uuid) -> Step {
    Step::new(include_str!("sql/factor_delete.sql"), [param(id), param(user)])
}

/// Takes away factors that were enrolled before a time and never challenged.
pub(crate) fn delete_stale(user: Uuid, before: Moment) -> Step {
    Step::new(include_str!("sql/factor_delete_stale.sql"), [param(user), param(before)])
}

pub(crate) fn delete_unverified(user: Uuid, kind: &str) -> Step {
    Step::new(include_str!("sql/factor_delete_unverified.sql"), [param(user), text(kind)])
}

pub(crate) fn verify(id: Uuid, now: Moment) -> Step {
    Step::new(include_str!("sql/factor_verify.sql"), [param(id), param(now)])
}

pub(crate) fn update(id: Uuid, name: Option<&str>, phone: Option<&str>, now: Moment) -> Step {
    let params = [param(id), name.map_or_else(null, text), phone.map_or_else(null, text), param(now)];
    Step::new(include_str!("sql/factor_update.sql"), params)
}

/// Makes a challenge and notes it at its factor.
pub(crate) fn challenge(
    id: Uuid,
    factor: Uuid,
    ip: Option<IpAddr>,
    code: Option<&str>,
    now: Moment,
) -> [Step; 2] {
    let code = code.map_or_else(null, text);
    let insert = [param(id), param(factor), param(address(ip)), code, param(now)];
    [
        Step::new(include_str!("sql/challenge_insert.sql"), insert),
        Step::new(include_str!("sql/factor_challenged.sql"), [param(factor), param(now)]),
    ]
}

/// Notes what an answer to a challenge is compared with.
pub(crate) fn challenge_data(id: Uuid, data: &Value) -> Step {
    let sql = "update auth.mfa_challenges set web_authn_session_data = $2::jsonb where id = $1";
    Step::new(sql, [param(id), text(data.to_string())])
}

/// Keeps what is known of a factor's credential, and how it was last used.
pub(crate) fn set_credential(
    id: Uuid,
    credential: &Value,
    kind: Option<Uuid>,
    used: &Value,
    now: Moment,
) -> Step {
    let kind = kind.map_or_else(null, param);
    let params = [param(id), text(credential.to_string()), kind, text(used.to_string()), param(now)];
    Step::new(include_str!("sql/factor_set_credential.sql"), params)
}

/// What stands for an address that is not known.
pub(crate) fn address(ip: Option<IpAddr>) -> IpAddr {
    ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The challenge, held until the transaction ends.
pub(crate) fn challenge_lock(id: Uuid, factor: Uuid) -> Step {
    Step::new(include_str!("sql/challenge_lock.sql"), [param(id), param(factor)])
}

/// Uses a challenge up. `code` marks the code that did it, so that it does not do it again.
pub(crate) fn challenge_use(id: Uuid, code: &str, now: Moment) -> Step {
    Step::new(include_str!("sql/challenge_use.sql"), [param(id), param(now), text(code)])
}

/// Takes away all second factors and passkeys of a user.
pub(crate) fn forget(user: Uuid) -> [Step; 2] {
    [
        Step::new(include_str!("sql/factor_delete_all.sql"), [param(user)]),
        Step::new(include_str!("sql/passkey_delete_all.sql"), [param(user)]),
    ]
}
