//! Proof key for code exchange: the client shows with the verifier that it began the flow.

use crate::refusal::{Outcome, invalid, refuse};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;

/// The challenge that a flow begins with, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) method: &'static str,
    pub(crate) challenge: String,
}

/// The two fields in which requests carry a challenge.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ChallengeFields {
    #[serde(default)]
    pub(crate) code_challenge: Option<String>,
    #[serde(default)]
    pub(crate) code_challenge_method: Option<String>,
}

impl ChallengeFields {
    /// Both or none; nothing means the implicit flow.
    pub(crate) fn read(&self) -> Outcome<Option<Challenge>> {
        let challenge = self.code_challenge.as_deref().unwrap_or_default();
        let method = self.code_challenge_method.as_deref().unwrap_or_default();
        match (challenge.is_empty(), method.is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => {}
            _ => {
                return Err(invalid("PKCE flow requires code_challenge_method and code_challenge"));
            }
        }
        let method = match method.to_ascii_lowercase().as_str() {
            "s256" => "s256",
            "plain" => "plain",
            _ => return Err(invalid("code challenge method not supported")),
        };
        if !(43..=128).contains(&challenge.len()) {
            return Err(invalid("code challenge has to be between 43 and 128 characters"));
        }
        if !challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b)) {
            return Err(invalid(
                "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes",
            ));
        }
        Ok(Some(Challenge { method, challenge: challenge.to_owned() }))
    }
}

/// Compares a verifier with the challenge of its flow.
pub(crate) fn verify(method: &str, challenge: &str, verifier: &str) -> Outcome<()> {
    let same = match method {
        "s256" => token::same_secret(
            B64.encode(token::sha256(verifier.as_bytes())).as_bytes(),
            challenge.as_bytes(),
        ),
        "plain" => token::same_secret(verifier.as_bytes(), challenge.as_bytes()),
        _ => false,
    };
    if same {
        Ok(())
    } else {
        let message = "code challenge does not match previously saved code verifier";
        Err(refuse(400, "bad_code_verifier", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(challenge: &str, method: &str) -> Outcome<Option<Challenge>> {
        ChallengeFields {
            code_challenge: Some(challenge.to_owned()),
            code_challenge_method: Some(method.to_owned()),
        }
        .read()
    }

    #[test]
    fn a_challenge_is_complete_or_absent() {
        assert_eq!(read("", "").unwrap(), None);
        assert!(read("", "s256").is_err());
        assert!(read(&"a".repeat(43), "").is_err());
        assert!(read(&"a".repeat(42), "s256").is_err());
        assert!(read(&"ä".repeat(43), "s256").is_err());
        assert!(read(&"a".repeat(43), "md5").is_err());
        assert_eq!(read(&"a".repeat(43), "S256").unwrap().unwrap().method, "s256");
    }

    #[test]
    fn the_example_of_rfc_7636() {
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(verify("s256", challenge, verifier).is_ok());
        assert!(verify("s256", challenge, challenge).is_err());
        assert!(verify("plain", verifier, verifier).is_ok());
    }
}
