//! `auth.audit_log_entries`: what was done by whom, written in the transaction that does it.

use super::db::Step;
use super::records::User;
use crate::moment::Moment;
use pg::{null, param, text};
use serde_json::{Value, json};
use uuid::Uuid;

/// Who did it.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    id: Uuid,
    username: String,
    name: Option<Value>,
    via_sso: bool,
}

impl Actor {
    /// A user; known by the phone number rather than the e-mail address.
    pub(crate) fn user(user: &User) -> Actor {
        let username = if user.phone().is_empty() { user.email() } else { user.phone() };
        Actor {
            id: user.id,
            username: username.to_owned(),
            name: user.user_metadata().get("full_name").cloned(),
            via_sso: user.is_sso_user,
        }
    }

    /// A user that is being made.
    pub(crate) fn new_user(id: Uuid, username: &str, name: Option<Value>) -> Actor {
        Actor { id, username: username.to_owned(), name, via_sso: false }
    }

    /// Whoever holds an administrative token: known by its role.
    pub(crate) fn admin(role: &str) -> Actor {
        Actor { id: Uuid::nil(), username: role.to_owned(), name: None, via_sso: false }
    }
}

/// The kind of an action, as the log has it.
fn kind(action: &str) -> &'static str {
    match action {
        "login" | "logout" | "invite_accepted" => "account",
        "user_signedup" | "user_invited" | "user_deleted" => "team",
        "token_revoked" | "token_refreshed" => "token",
        "factor_in_progress"
        | "factor_unenrolled"
        | "challenge_created"
        | "verification_attempted"
        | "factor_deleted"
        | "factor_updated" => "factor",
        _ => "user",
    }
}

/// An entry.
pub(crate) fn insert(
    actor: &Actor,
    action: &'static str,
    traits: Option<Value>,
    ip: &str,
    now: Moment,
) -> Step {
    let mut payload = json!({
        "action": action,
        "actor_id": actor.id,
        "actor_username": actor.username,
        "actor_via_sso": actor.via_sso,
        "log_type": kind(action),
    });
    if let Some(name) = &actor.name {
        payload["actor_name"] = name.clone();
    }
    if let Some(traits) = traits {
        payload["traits"] = traits;
    }
    let params = [param(Uuid::new_v4()), text(payload.to_string()), param(now), text(ip)];
    Step::new(include_str!("sql/audit_insert.sql"), params)
}

/// A search of the log: fields of the payload and what one of them contains.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) fields: &'static [&'static str],
    pub(crate) pattern: Option<String>,
}

impl Search {
    fn params(&self) -> [pg::Param; 2] {
        let pattern = self.pattern.as_ref().map_or_else(null, |part| text(format!("%{part}%")));
        [text(format!("{{{}}}", self.fields.join(","))), pattern]
    }
}

pub(crate) fn list(search: &Search, limit: u64, offset: u64) -> Step {
    let [fields, pattern] = search.params();
    Step::new(include_str!("sql/audit_list.sql"), [fields, pattern, param(limit), param(offset)])
}

pub(crate) fn count(search: &Search) -> Step {
    Step::new(include_str!("sql/audit_count.sql"), search.params())
}
