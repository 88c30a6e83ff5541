//! The claims that limit a token: its times and its audience.

use super::bad_claims;
use fault::Fault;
use serde_json::{Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// Clocks may differ by so many seconds.
const SKEW_SECONDS: i64 = 30;

/// The limiting claims of a token, as far as they make sense.
pub struct Claims {
    expires: Time,
    not_before: Time,
    issued: Time,
    audience: Audience,
}

#[derive(Clone, Copy)]
enum Time {
    Unsaid,
    Seconds(i64),
    NotANumber,
}

enum Audience {
    Anyone,
    OneOf(Vec<String>),
    Malformed,
}

impl Claims {
    /// The limiting claims among others.
    pub fn of(claims: &Map<String, Value>) -> Self {
        Claims {
            expires: time(claims, "exp"),
            not_before: time(claims, "nbf"),
            issued: time(claims, "iat"),
            audience: audience(claims),
        }
    }

    /// Whether they hold now, for this audience.
    pub fn check(&self, audience: Option<&str>, now: SystemTime) -> Result<(), Fault> {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) as i64;
        let check = |time: Time, name: &str, wrong: &dyn Fn(i64) -> bool, message: &str| match time {
            Time::NotANumber => Err(bad_claims(&format!("The JWT '{name}' claim must be a number"))),
            Time::Seconds(seconds) if wrong(seconds) => Err(bad_claims(message)),
            Time::Seconds(_) | Time::Unsaid => Ok(()),
        };
        check(self.expires, "exp", &|at| now - SKEW_SECONDS > at, "JWT expired")?;
        check(self.not_before, "nbf", &|at| now + SKEW_SECONDS < at, "JWT not yet valid")?;
        check(self.issued, "iat", &|at| now + SKEW_SECONDS < at, "JWT issued at future")?;
        match (&self.audience, audience) {
            (Audience::Malformed, _) => {
                Err(bad_claims("The JWT 'aud' claim must be a string or an array of strings"))
            }
            (Audience::OneOf(named), Some(ours)) if !named.iter().any(|name| name == ours) => {
                Err(bad_claims("JWT not in audience"))
            }
            _ => Ok(()),
        }
    }
}

fn time(claims: &Map<String, Value>, name: &str) -> Time {
    match claims.get(name) {
        None | Some(Value::Null) => Time::Unsaid,
        Some(Value::Number(number)) => Time::Seconds(
            number.as_i64().unwrap_or_else(|| number.as_f64().map_or(0, |seconds| seconds as i64)),
        ),
        Some(_) => Time::NotANumber,
    }
}

fn audience(claims: &Map<String, Value>) -> Audience {
    match claims.get("aud") {
        None | Some(Value::Null) => Audience::Anyone,
        Some(Value::String(name)) => Audience::OneOf(vec![name.clone()]),
        Some(Value::Array(names)) if names.is_empty() => Audience::Anyone,
        Some(Value::Array(names)) => {
            let texts: Option<Vec<String>> =
                names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            texts.map_or(Audience::Malformed, Audience::OneOf)
        }
        Some(_) => Audience::Malformed,
    }
}
