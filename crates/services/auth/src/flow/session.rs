//! How long sessions are good for, and how much they prove.

use crate::moment::Moment;
use crate::settings::SessionSettings;
use crate::store::records::Session;

/// How strongly a session or a user can be authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assurance {
    Aal1,
    Aal2,
}

impl Assurance {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Assurance::Aal1 => "aal1",
            Assurance::Aal2 => "aal2",
        }
    }

    /// Of a session's column: anything but `aal2` (and `aal3`) is the lowest.
    pub(crate) fn of(text: Option<&str>) -> Assurance {
        match text {
            Some("aal2" | "aal3") => Assurance::Aal2,
            _ => Assurance::Aal1,
        }
    }
}

/// Methods that count as a second factor.
pub(crate) fn is_second_factor(method: &str) -> bool {
    matches!(method, "totp" | "mfa/phone" | "mfa/webauthn")
}

/// Why a session can no longer be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Past its end or its time box.
    Ended,
    Inactive,
    LowAssurance,
    /// A newer session of the user took its place.
    Superseded,
}

impl Expired {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Expired::Ended => "Invalid Refresh Token: Session Expired",
            Expired::Inactive => "Invalid Refresh Token: Session Expired (Inactivity)",
            Expired::LowAssurance => {
                "Invalid Refresh Token: Session Expired (Low AAL: User Needs MFA Verification)"
            }
            Expired::Superseded => "Invalid Refresh Token: Session Expired (Revoked by Newer Login)",
        }
    }
}

/// When the session was last used. `token_time` is when its refresh token was made or revoked.
pub(crate) fn last_used(session: &Session, token_time: Option<Moment>) -> Moment {
    session
        .refreshed_at
        .unwrap_or_else(|| token_time.map_or(session.created_at, |t| t.max(session.created_at)))
}

/// Whether the session may still be refreshed.
pub(crate) fn validity(
    settings: &SessionSettings,
    session: &Session,
    token_time: Option<Moment>,
    possible: Assurance,
    now: Moment,
) -> Result<(), Expired> {
    if session.not_after.is_some_and(|end| now > end) {
        return Err(Expired::Ended);
    }
    if settings.timebox.is_some_and(|limit| !limit.is_zero() && now > session.created_at.plus(limit)) {
        return Err(Expired::Ended);
    }
    let inactive = |limit| now > last_used(session, token_time).plus(limit);
    if settings.inactivity_timeout.is_some_and(|limit| !limit.is_zero() && inactive(limit)) {
        return Err(Expired::Inactive);
    }
    let low = Assurance::of(session.aal.as_deref()) < possible;
    if low
        && settings
            .allow_low_aal
            .is_some_and(|limit| !limit.is_zero() && now > session.created_at.plus(limit))
    {
        return Err(Expired::LowAssurance);
    }
    Ok(())
}

/// The tag by which sessions compete under "one session per user".
fn tag<'a>(settings: &'a SessionSettings, session: &'a Session) -> &'a str {
    let first = settings.tags.first().map_or("", String::as_str);
    session.tag.as_deref().filter(|tag| settings.tags.iter().any(|known| known == tag)).unwrap_or(first)
}

/// Whether another valid session of the same user and tag was used after this one.
pub(crate) fn is_superseded(
    settings: &SessionSettings,
    session: &Session,
    token_time: Option<Moment>,
    others: &[Session],
    possible: Assurance,
    now: Moment,
) -> bool {
    let used = last_used(session, token_time);
    others.iter().any(|other| {
        other.id != session.id
            && tag(settings, other) == tag(settings, session)
            && validity(settings, other, None, possible, now).is_ok()
            && last_used(other, None) > used
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn session(created: &str, extra: serde_json::Value) -> Session {
        let mut row = json!({
            "id": "00000000-0000-0000-0000-000000000001", "user_id": "00000000-0000-0000-0000-000000000002",
            "created_at": created,
        });
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    fn at(text: &str) -> Moment {
        serde_json::from_value(json!(text)).unwrap()
    }

    const CREATED: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn time_box_inactivity_and_low_assurance_end_a_session() {
        let hour = Some(Duration::from_secs(3600));
        let late = at("2026-01-01T01:00:01Z");
        let plain = session(CREATED, json!({}));
        let check = |settings: &SessionSettings, session: &Session, possible| {
            validity(settings, session, None, possible, late)
        };
        let none = SessionSettings::default();
        assert_eq!(check(&none, &plain, Assurance::Aal2), Ok(()));
        let boxed = SessionSettings { timebox: hour, ..none.clone() };
        assert_eq!(check(&boxed, &plain, Assurance::Aal1), Err(Expired::Ended));
        let idle = SessionSettings { inactivity_timeout: hour, ..none.clone() };
        assert_eq!(check(&idle, &plain, Assurance::Aal1), Err(Expired::Inactive));
        let used = session(CREATED, json!({ "refreshed_at": "2026-01-01T00:30:00" }));
        assert_eq!(check(&idle, &used, Assurance::Aal1), Ok(()));
        let low = SessionSettings { allow_low_aal: hour, ..none.clone() };
        assert_eq!(check(&low, &plain, Assurance::Aal1), Ok(()));
        assert_eq!(check(&low, &plain, Assurance::Aal2), Err(Expired::LowAssurance));
        let ended = session(CREATED, json!({ "not_after": "2026-01-01T00:10:00Z" }));
        assert_eq!(check(&none, &ended, Assurance::Aal1), Err(Expired::Ended));
    }

    #[test]
    fn only_a_newer_session_of_the_same_tag_takes_the_place() {
        let settings =
            SessionSettings { tags: vec!["web".into(), "app".into()], ..SessionSettings::default() };
        let mine = session(CREATED, json!({ "tag": "app" }));
        let newer = |tag: &str| {
            let mut other = session("2026-01-01T00:00:05Z", json!({ "tag": tag }));
            other.id = uuid::Uuid::from_u128(9);
            other
        };
        let now = at("2026-01-01T00:01:00Z");
        let superseded = |other| is_superseded(&settings, &mine, None, &[other], Assurance::Aal1, now);
        assert!(superseded(newer("app")));
        assert!(!superseded(newer("web")));
        assert!(!superseded(newer("unknown")), "an unknown tag counts as the first");
    }
}
