//! Claims that depend on the time.

use serde_json::{Map, Value};

/// A claim by which a token is not valid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token was issued in the future")]
    IssuedInFuture,
    #[error("the claim {0} is not a number")]
    NotANumber(&'static str),
}

/// Checks `exp`, `nbf` and `iat`, those that are there, against `now` (seconds since the Unix epoch) with a
/// tolerance of `leeway` seconds. A claim that is null counts as absent.
pub fn check_times(claims: &Map<String, Value>, now: u64, leeway: u64) -> Result<(), ClaimError> {
    let (now, leeway) = (now as f64, leeway as f64);
    if seconds(claims, "exp")?.is_some_and(|exp| now >= exp + leeway) {
        return Err(ClaimError::Expired);
    }
    if seconds(claims, "nbf")?.is_some_and(|nbf| now + leeway < nbf) {
        return Err(ClaimError::NotYetValid);
    }
    if seconds(claims, "iat")?.is_some_and(|iat| now + leeway < iat) {
        return Err(ClaimError::IssuedInFuture);
    }
    Ok(())
}

fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, ClaimError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(ClaimError::NotANumber(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(claims: Value) -> Result<(), ClaimError> {
        check_times(claims.as_object().unwrap(), 1_000, 30)
    }

    #[test]
    fn times_are_compared_with_leeway() {
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(check(json!({ "exp": 971, "nbf": 1_030, "iat": 1_030 })), Ok(()));
        assert_eq!(check(json!({ "exp": 970 })), Err(ClaimError::Expired));
        assert_eq!(check(json!({ "nbf": 1_031 })), Err(ClaimError::NotYetValid));
        assert_eq!(check(json!({ "iat": 1_031.5 })), Err(ClaimError::IssuedInFuture));
        assert_eq!(check(json!({ "exp": "soon" })), Err(ClaimError::NotANumber("exp")));
    }
}
