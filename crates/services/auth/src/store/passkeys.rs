//! `auth.webauthn_credentials` and `auth.webauthn_challenges`.

use super::db::Step;
use crate::moment::Moment;
use pg::{null, param, text};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;
use webauthn::Registered;

/// A passkey.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Passkey {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    #[serde(deserialize_with = "bytea")]
    pub(crate) credential_id: Vec<u8>,
    #[serde(deserialize_with = "bytea")]
    pub(crate) public_key: Vec<u8>,
    pub(crate) sign_count: i64,
    #[serde(default)]
    pub(crate) transports: Value,
    pub(crate) backup_eligible: bool,
    pub(crate) friendly_name: String,
    pub(crate) created_at: Moment,
    pub(crate) last_used_at: Option<Moment>,
}

/// A column of bytes as JSON has it: `\x` and digits.
fn bytea<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.strip_prefix("\\x").ok_or_else(|| serde::de::Error::custom("not bytes"))?;
    hex::decode(digits).map_err(serde::de::Error::custom)
}

impl Passkey {
    /// As its owner sees it.
    pub(crate) fn shown(&self) -> Value {
        #[derive(Serialize)]
        struct Shown<'a> {
            id: Uuid,
            #[serde(skip_serializing_if = "str::is_empty")]
            friendly_name: &'a str,
            created_at: Moment,
            #[serde(skip_serializing_if = "Option::is_none")]
            last_used_at: Option<Moment>,
        }
        let (created_at, last_used_at) = (self.created_at, self.last_used_at);
        json!(Shown { id: self.id, friendly_name: &self.friendly_name, created_at, last_used_at })
    }
}

/// What a challenge is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChallengeKind {
    Registration,
    Authentication,
}

impl ChallengeKind {
    fn as_str(self) -> &'static str {
        match self {
            ChallengeKind::Registration => "registration",
            ChallengeKind::Authentication => "authentication",
        }
    }
}

/// A challenge that was taken out of its table.
#[derive(Debug, Deserialize)]
pub(crate) struct Taken {
    pub(crate) session_data: Value,
    pub(crate) expires_at: Moment,
}

/// Makes a challenge, and takes away some that nobody answered.
pub(crate) fn challenge(
    id: Uuid,
    kind: ChallengeKind,
    user: Option<Uuid>,
    data: &Value,
    now: Moment,
    expiry: Duration,
) -> [Step; 2] {
    let user = user.map_or_else(null, param);
    let expires = param(now.plus(expiry));
    let params = [param(id), text(kind.as_str()), user, text(data.to_string()), param(now), expires];
    [
        Step::new(include_str!("sql/passkey_challenge_cleanup.sql"), [param(now.minus(expiry))]),
        Step::new(include_str!("sql/passkey_challenge_insert.sql"), params),
    ]
}

/// Takes a challenge out, so that it is answered once.
pub(crate) fn take_challenge(id: Uuid, kind: ChallengeKind, user: Option<Uuid>) -> Step {
    let params = [param(id), text(kind.as_str()), user.map_or_else(null, param)];
    Step::new(include_str!("sql/passkey_challenge_take.sql"), params)
}

/// The passkeys of a user, the oldest first.
pub(crate) fn of_user(user: Uuid) -> Step {
    let sql = "select to_jsonb(p) from auth.webauthn_credentials p where p.user_id = $1 order by p.created_at, p.id";
    Step::new(sql, [param(user)])
}

/// The passkey of a credential.
pub(crate) fn by_credential(id: &[u8]) -> Step {
    let sql = "select to_jsonb(p) from auth.webauthn_credentials p where p.credential_id = $1::bytea";
    Step::new(sql, [bytes(id)])
}

/// Keeps a new passkey, if its user has fewer than so many.
pub(crate) fn insert(id: Uuid, user: Uuid, made: &Registered, name: &str, room: usize, now: Moment) -> Step {
    let params = [
        param(id),
        param(user),
        bytes(&made.id),
        bytes(&made.public_key),
        text(&made.attestation),
        param(Uuid::from_bytes(made.aaguid)),
        param(made.counter),
        text(json!(made.transports).to_string()),
        param(made.is_backup_eligible),
        param(made.is_backed_up),
        text(name),
        param(now),
        param(room),
    ];
    Step::new(include_str!("sql/passkey_insert.sql"), params)
}

/// Notes that a passkey was used. Nothing comes back when another answer with this counter was faster.
pub(crate) fn used(id: Uuid, counter: u32, is_backed_up: bool, now: Moment) -> Step {
    let params = [param(id), param(counter), param(is_backed_up), param(now)];
    Step::new(include_str!("sql/passkey_used.sql"), params)
}

pub(crate) fn rename(id: Uuid, user: Uuid, name: &str, now: Moment) -> Step {
    let sql = "update auth.webauthn_credentials p set friendly_name = $3, updated_at = $4
        where p.id = $1 and p.user_id = $2 returning to_jsonb(p)";
    Step::new(sql, [param(id), param(user), text(name), param(now)])
}

pub(crate) fn delete(id: Uuid, user: Uuid) -> Step {
    let sql =
        "delete from auth.webauthn_credentials p where p.id = $1 and p.user_id = $2 returning to_jsonb(p)";
    Step::new(sql, [param(id), param(user)])
}

fn bytes(bytes: &[u8]) -> pg::Param {
    text(format!("\\x{}", hex::encode(bytes)))
}
