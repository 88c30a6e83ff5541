//! `auth.one_time_tokens`: the hashes of codes and links that are on their way.

use super::db::Step;
use crate::moment::Moment;
use pg::{null, param, text};
use uuid::Uuid;

/// What a token is for; also the column of `auth.users` that repeats its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Confirmation,
    Reauthentication,
    Recovery,
    EmailChangeNew,
    EmailChangeCurrent,
    PhoneChange,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Purpose::Confirmation => "confirmation_token",
            Purpose::Reauthentication => "reauthentication_token",
            Purpose::Recovery => "recovery_token",
            Purpose::EmailChangeNew => "email_change_token_new",
            Purpose::EmailChangeCurrent => "email_change_token_current",
            Purpose::PhoneChange => "phone_change_token",
        }
    }
}

/// Puts a token in the place of the user's last one of its purpose.
pub(crate) fn put(user: Uuid, purpose: Purpose, hash: &str, address: &str, now: Moment) -> [Step; 2] {
    let insert =
        [param(Uuid::new_v4()), param(user), text(purpose.as_str()), text(hash), text(address), param(now)];
    [clear(user, Some(purpose)), Step::new(include_str!("sql/one_time_token_insert.sql"), insert)]
}

/// Takes away the user's tokens of a purpose, or all of them.
pub(crate) fn clear(user: Uuid, purpose: Option<Purpose>) -> Step {
    let purpose = purpose.map_or_else(null, |purpose| text(purpose.as_str()));
    Step::new(include_str!("sql/one_time_token_clear.sql"), [param(user), purpose])
}
