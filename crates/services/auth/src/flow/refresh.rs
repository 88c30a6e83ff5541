//! What happens when a refresh token is used: the heart of rotation and reuse detection.

use super::session::{Assurance, Expired, is_superseded, last_used, validity};
use crate::moment::Moment;
use crate::settings::{RefreshTokenSettings, Settings};
use crate::store::records::{RefreshToken, Session};

/// What the tables say about the token that was sent.
#[derive(Debug)]
pub(crate) struct State<'a> {
    pub(crate) token: &'a RefreshToken,
    pub(crate) session: &'a Session,
    /// The session's newest token that is not revoked.
    pub(crate) active: Option<&'a RefreshToken>,
    /// All sessions of the user, when only one may be refreshed.
    pub(crate) sessions: &'a [Session],
    /// The strongest authentication that the user could have.
    pub(crate) possible: Assurance,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Revoke the token and make its successor.
    Rotate,
    /// The client lost our last answer: give it the token of that answer again.
    Repeat(String),
    /// The session has signed tokens by now, and the client lost the first: give it the current one.
    RepeatSigned,
    /// The token was used before. The family is revoked when rotation is on.
    Reused { revoke_family: bool },
    /// The session is over.
    Expired(Expired),
}

/// Decides. The rows are locked, so nothing changes until the outcome is written.
pub(crate) fn decide(settings: &Settings, state: &State<'_>, now: Moment) -> Step {
    let sessions = &settings.sessions;
    let token_time = state.token.updated_at;
    if let Err(expired) = validity(sessions, state.session, token_time, state.possible, now) {
        return Step::Expired(expired);
    }
    let others = state.sessions;
    if sessions.single_per_user
        && is_superseded(sessions, state.session, token_time, others, state.possible, now)
    {
        return Step::Expired(Expired::Superseded);
    }
    if !state.token.revoked {
        return Step::Rotate;
    }
    if let Some(active) = state.active.filter(|active| active.parent.as_deref() == Some(&state.token.token)) {
        return Step::Repeat(active.token.clone());
    }
    let reusable =
        token_time.is_some_and(|revoked| now <= revoked.plus(settings.refresh_token_reuse_interval));
    // The session has moved over to signed tokens. Its first one was the answer to this token, or to an older one.
    if let Some(counter) = state.session.refresh_token_counter {
        let is_first = counter == 0 && state.session.refreshed_at == token_time;
        return if is_first || reusable {
            Step::RepeatSigned
        } else {
            Step::Reused { revoke_family: settings.refresh_token_rotation }
        };
    }
    if reusable { Step::Rotate } else { Step::Reused { revoke_family: settings.refresh_token_rotation } }
}

/// What the tables say about the session of a signed token.
#[derive(Debug)]
pub(crate) struct CounterState<'a> {
    /// The counter of the token that was sent.
    pub(crate) sent: i64,
    /// The counter of the session's current token.
    pub(crate) counter: i64,
    pub(crate) session: &'a Session,
    /// All sessions of the user, when only one may be refreshed.
    pub(crate) sessions: &'a [Session],
    pub(crate) possible: Assurance,
}

/// What to do about a signed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CounterStep {
    /// The next token has this counter.
    Advance(i64),
    /// The client gets the current token again, for these reasons.
    Repeat {
        causes: Vec<&'static str>,
    },
    /// The token was used before. The session ends when rotation is on.
    Reused {
        ends_session: bool,
    },
    /// Nobody can have got such a token yet.
    Ahead,
    Expired(Expired),
}

/// Decides about a signed token. The session's row is locked.
pub(crate) fn decide_counter(settings: &Settings, state: &CounterState<'_>, now: Moment) -> CounterStep {
    let (limits, session, possible) = (&settings.sessions, state.session, state.possible);
    if let Err(expired) = validity(limits, session, None, possible, now) {
        return CounterStep::Expired(expired);
    }
    if limits.single_per_user && is_superseded(limits, session, None, state.sessions, possible, now) {
        return CounterStep::Expired(Expired::Superseded);
    }
    let behind = state.counter.saturating_sub(state.sent);
    if behind < 0 {
        return CounterStep::Ahead;
    }
    if behind == 0 {
        return state.counter.checked_add(1).map_or(CounterStep::Ahead, CounterStep::Advance);
    }
    let interval = settings.refresh_token_reuse_interval;
    let mut causes = Vec::new();
    // Tabs that wake up together, or a server that refreshes for several at once.
    if now < last_used(session, None).plus(interval) {
        causes.push("concurrent-refresh");
    }
    // The client did not get, or lost, our last answer.
    if behind == 1 {
        causes.push("fail-to-save");
    }
    if settings.refresh_tokens.allow_reuse {
        causes.push("always-allow");
    }
    if causes.is_empty() {
        return CounterStep::Reused { ends_session: settings.refresh_token_rotation };
    }
    CounterStep::Repeat { causes }
}

/// Whether a session with stored tokens moves over to signed ones at its next refresh.
pub(crate) fn is_upgraded(settings: &RefreshTokenSettings, session: uuid::Uuid) -> bool {
    // A share of the sessions, not of the requests.
    settings.signed && session.as_u128() % 100 < u128::from(settings.upgrade_percentage)
}

/// A new token: 12 letters and digits.
pub(crate) fn new_token() -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut out = String::with_capacity(12);
    while out.len() < 12 {
        // 252 is the largest multiple of 36 in a byte.
        for byte in token::random_bytes::<16>().into_iter().filter(|b| *b < 252).take(12 - out.len()) {
            out.push(ALPHABET[usize::from(byte) % ALPHABET.len()] as char);
        }
    }
    out
}

/// Whether a text has the form of a token.
pub(crate) fn is_token(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use std::time::Duration;

    fn at(text: &str) -> Moment {
        serde_json::from_value(json!(text)).unwrap()
    }

    fn token(name: &str, revoked: bool, parent: Option<&str>) -> RefreshToken {
        serde_json::from_value(json!({
            "token": name, "revoked": revoked, "parent": parent, "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    fn decide_at(used: &RefreshToken, active: Option<&RefreshToken>, now: &str, rotation: bool) -> Step {
        let keys = Arc::new(::token::KeySet::from_secret(b"secret"));
        let mut settings = Settings::new(keys, "http://localhost:3000", "http://localhost/auth/v1");
        settings.refresh_token_reuse_interval = Duration::from_secs(10);
        settings.refresh_token_rotation = rotation;
        let session: Session = serde_json::from_value(json!({
            "id": uuid::Uuid::nil(), "user_id": uuid::Uuid::nil(), "created_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let state =
            State { token: used, session: &session, active, sessions: &[], possible: Assurance::Aal1 };
        decide(&settings, &state, at(now))
    }

    #[test]
    fn a_fresh_token_is_rotated() {
        let a = token("a", false, None);
        assert_eq!(decide_at(&a, Some(&a), "2027-01-01T00:00:00Z", true), Step::Rotate);
    }

    #[test]
    fn the_parent_of_the_active_token_gets_the_active_token_at_any_time() {
        let (a, b) = (token("a", true, None), token("b", false, Some("a")));
        assert_eq!(decide_at(&a, Some(&b), "2027-01-01T00:00:00Z", true), Step::Repeat("b".into()));
    }

    #[test]
    fn an_older_token_is_good_only_within_the_interval() {
        let (a, c) = (token("a", true, None), token("c", false, Some("b")));
        assert_eq!(decide_at(&a, Some(&c), "2026-01-01T00:00:10Z", true), Step::Rotate);
        assert_eq!(
            decide_at(&a, Some(&c), "2026-01-01T00:00:11Z", true),
            Step::Reused { revoke_family: true }
        );
        assert_eq!(
            decide_at(&a, Some(&c), "2026-01-01T00:00:11Z", false),
            Step::Reused { revoke_family: false }
        );
        assert_eq!(decide_at(&a, None, "2026-01-01T00:00:11Z", true), Step::Reused { revoke_family: true });
    }

    #[test]
    fn new_tokens_have_the_form_of_tokens() {
        for _ in 0..50 {
            assert!(is_token(&new_token()));
        }
        assert!(!is_token("short") && !is_token("ABCDEFGHIJKL") && !is_token("abcdefghijklm"));
    }

    fn decide_counted(sent: i64, counter: i64, refreshed: &str, now: &str) -> CounterStep {
        let keys = Arc::new(::token::KeySet::from_secret(b"secret"));
        let mut settings = Settings::new(keys, "http://localhost:3000", "http://localhost/auth/v1");
        settings.refresh_token_reuse_interval = Duration::from_secs(10);
        let session: Session = serde_json::from_value(json!({
            "id": uuid::Uuid::nil(), "user_id": uuid::Uuid::nil(), "created_at": "2026-01-01T00:00:00Z",
            "refreshed_at": refreshed,
        }))
        .unwrap();
        let possible = Assurance::Aal1;
        let state = CounterState { sent, counter, session: &session, sessions: &[], possible };
        decide_counter(&settings, &state, at(now))
    }

    #[test]
    fn a_counter_tells_lost_answers_from_stolen_tokens() {
        let (used, soon, late) = ("2026-01-01T00:00:00", "2026-01-01T00:00:09Z", "2026-01-01T00:00:10Z");
        assert_eq!(decide_counted(5, 5, used, late), CounterStep::Advance(6));
        let repeat = |causes: &[&'static str]| CounterStep::Repeat { causes: causes.to_vec() };
        assert_eq!(decide_counted(4, 5, used, late), repeat(&["fail-to-save"]));
        assert_eq!(decide_counted(4, 5, used, soon), repeat(&["concurrent-refresh", "fail-to-save"]));
        assert_eq!(decide_counted(3, 5, used, soon), repeat(&["concurrent-refresh"]));
        assert_eq!(decide_counted(3, 5, used, late), CounterStep::Reused { ends_session: true });
        assert_eq!(decide_counted(6, 5, used, soon), CounterStep::Ahead);
        assert_eq!(decide_counted(i64::MAX, i64::MAX, used, soon), CounterStep::Ahead);
        assert_eq!(decide_counted(0, i64::MAX, used, late), CounterStep::Reused { ends_session: true });
    }

    #[test]
    fn a_share_of_the_sessions_moves_over() {
        let share = |percentage, signed| {
            let settings =
                RefreshTokenSettings { signed, upgrade_percentage: percentage, allow_reuse: false };
            (0..1000).filter(|id| is_upgraded(&settings, uuid::Uuid::from_u128(*id))).count()
        };
        assert_eq!((share(0, true), share(25, true), share(100, true), share(100, false)), (0, 250, 1000, 0));
    }
}
