//! What happens when a refresh token is used: the heart of rotation and reuse detection.

use super::session::{Assurance, Expired, is_superseded, validity};
use crate::moment::Moment;
use crate::settings::Settings;
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
    if reusable { Step::Rotate } else { Step::Reused { revoke_family: settings.refresh_token_rotation } }
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
}
