//! Who is asking.

use crate::refusal::{self, Outcome, Refusal};
use crate::settings::Settings;
use http::{HeaderMap, header};
use model::{Caller, role};
use serde_json::{Map, Value};
use std::sync::Arc;
use token::{ClaimError, TokenError};
use uuid::Uuid;

/// A checked caller.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) role: Arc<str>,
    /// JSON of the claims.
    pub(crate) claims: Arc<str>,
    /// The claim `sub`.
    pub(crate) subject: Option<String>,
    /// The token itself; empty when a key says who is asking.
    pub(crate) token: String,
}

impl Identity {
    /// Storage itself.
    pub(crate) fn service() -> Identity {
        Identity::of_caller(&Caller::of_role(role::SERVICE))
    }

    /// Whom a request without a token counts as.
    pub(crate) fn anonymous() -> Identity {
        Identity::of_caller(&Caller::of_role(role::ANON))
    }

    pub(crate) fn of_caller(caller: &Caller) -> Identity {
        let claims: Map<String, Value> = serde_json::from_str(&caller.claims).unwrap_or_default();
        Identity {
            role: Arc::clone(&caller.role),
            subject: text(&claims, "sub"),
            claims: Arc::clone(&caller.claims),
            token: String::new(),
        }
    }

    /// Claims that were checked elsewhere.
    pub(crate) fn of_claims(claims: &Map<String, Value>, payload: String, token: String) -> Identity {
        let role = text(claims, "role").unwrap_or_else(|| role::ANON.to_owned());
        Identity { role: role.into(), subject: text(claims, "sub"), claims: payload.into(), token }
    }

    /// The same with the claims of the API key of the request, which win over the token's. The role stays.
    #[must_use]
    pub(crate) fn bound(mut self, bound: &model::Bound) -> Identity {
        if !bound.claims().is_empty() {
            let mut claims: Map<String, Value> = serde_json::from_str(&self.claims).unwrap_or_default();
            claims.extend(bound.claims().iter().map(|(name, value)| (name.clone(), value.clone())));
            self.claims = Value::Object(claims).to_string().into();
        }
        self
    }

    /// The subject where it can be a user's id: the column `owner`.
    pub(crate) fn owner(&self) -> Option<Uuid> {
        self.subject.as_deref()?.parse().ok()
    }

    /// When its token runs out, in seconds since 1970.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        let claims: Map<String, Value> = serde_json::from_str(&self.claims).ok()?;
        claims.get("exp")?.as_f64().map(|seconds| seconds as u64)
    }

    pub(crate) fn is_service(&self) -> bool {
        &*self.role == role::SERVICE
    }
}

fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    claims.get(name)?.as_str().map(str::to_owned)
}

/// What a request says of its sender.
pub(crate) enum Said<'a> {
    Nothing,
    Caller(&'a Caller),
    Authorization(&'a str),
}

impl<'a> Said<'a> {
    pub(crate) fn of(headers: &'a HeaderMap, caller: Option<&'a Caller>) -> Said<'a> {
        match (caller, headers.get(header::AUTHORIZATION)) {
            (Some(caller), _) => Said::Caller(caller),
            (None, Some(value)) => Said::Authorization(value.to_str().unwrap_or_default()),
            (None, None) => Said::Nothing,
        }
    }

    /// The caller, who must be somebody.
    pub(crate) fn identity(&self, settings: &Settings, now: u64) -> Outcome<Identity> {
        match self {
            Said::Nothing => Err(refusal::schema("headers must have required property 'authorization'")),
            Said::Caller(caller) => Ok(Identity::of_caller(caller)),
            Said::Authorization(value) => verify(bearer(value), settings, now),
        }
    }

    /// The caller, where a missing or bad token makes one anonymous. Nothing for such.
    pub(crate) fn lenient(&self, settings: &Settings, now: u64) -> Option<Identity> {
        self.identity(settings, now).ok()
    }
}

fn bearer(value: &str) -> &str {
    match value.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => value.get(7..).unwrap_or_default().trim(),
        _ => value.trim(),
    }
}

/// The identity in a token.
pub(crate) fn verify(token: &str, settings: &Settings, now: u64) -> Outcome<Identity> {
    let verified = settings.keys.verify(token).map_err(|error| refused(&error))?;
    check_times(&verified.claims, now).map_err(refusal::denied)?;
    Ok(Identity::of_claims(&verified.claims, verified.payload, token.to_owned()))
}

fn refused(error: &TokenError) -> Refusal {
    refusal::denied(match error {
        TokenError::Empty | TokenError::Parts(_) | TokenError::Malformed | TokenError::Payload => {
            "Invalid Compact JWS"
        }
        TokenError::Algorithm(_) => r#""alg" (Algorithm) Header Parameter value not allowed"#,
        TokenError::NoKey | TokenError::Signature | TokenError::CannotSign => "signature verification failed",
    })
}

/// The times in a token; `Err` is the message of the reference's library.
pub(crate) fn check_times(claims: &Map<String, Value>, now: u64) -> Result<(), &'static str> {
    match token::check_times(claims, now, 0) {
        Ok(()) | Err(ClaimError::IssuedInFuture) => Ok(()),
        Err(ClaimError::Expired) => Err(r#""exp" claim timestamp check failed"#),
        Err(ClaimError::NotYetValid) => Err(r#""nbf" claim timestamp check failed"#),
        Err(ClaimError::NotANumber("exp")) => Err(r#""exp" claim must be a number"#),
        Err(ClaimError::NotANumber("nbf")) => Err(r#""nbf" claim must be a number"#),
        Err(ClaimError::NotANumber(_)) => Err(r#""iat" claim must be a number"#),
    }
}
