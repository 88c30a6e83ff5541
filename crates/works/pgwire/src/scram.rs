//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's half, with the verifiers that PostgreSQL stores.
//!
//! Channel binding is not offered: the router ends TLS itself, and clients then fall back to plain SCRAM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

pub(crate) const MECHANISM: &str = "SCRAM-SHA-256";
const ITERATIONS: u32 = 4096;
const KEY: usize = 32;
const NONCE: usize = 18;

type Key = [u8; KEY];

/// What the server keeps of a password: enough to check it, not enough to log in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

/// A text that is not a SCRAM-SHA-256 verifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SCRAM-SHA-256 verifier")]
pub struct InvalidVerifier;

impl Verifier {
    /// The verifier of a password that we know, for servers whose own verifiers we cannot read.
    ///
    /// # Panics
    /// Never: the codec writes what is read here.
    pub fn of_password(password: &str) -> Verifier {
        let text = postgres_protocol::password::scram_sha_256(password.as_bytes());
        text.parse().expect("a verifier that was just written can be read")
    }

    /// For a role that has none: always the same salt for the same name, and no password fits, so that a client
    /// cannot tell that the role is missing.
    pub(crate) fn mock(secret: &Key, user: &str) -> Verifier {
        let salt = mac(secret, &[b"salt:", user.as_bytes()])[..16].to_vec();
        let key = mac(secret, &[b"key:", user.as_bytes()]);
        Verifier { iterations: ITERATIONS, salt, stored_key: key, server_key: key }
    }
}

impl FromStr for Verifier {
    type Err = InvalidVerifier;

    /// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`
    fn from_str(text: &str) -> Result<Self, InvalidVerifier> {
        let read = || {
            let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
            let ((iterations, salt), (stored, server)) = (head.split_once(':')?, keys.split_once(':')?);
            let key = |text: &str| Key::try_from(STANDARD.decode(text).ok()?).ok();
            Some(Verifier {
                iterations: iterations.parse().ok()?,
                salt: STANDARD.decode(salt).ok()?,
                stored_key: key(stored)?,
                server_key: key(server)?,
            })
        };
        read().ok_or(InvalidVerifier)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

/// Why an exchange ends without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client does not speak the protocol.
    Malformed(&'static str),
    WrongPassword,
}

/// An exchange after the client's first message: waits for the proof.
pub(crate) struct Exchange {
    verifier: Verifier,
    gs2: String,
    nonce: String,
    /// The client's and our first message, joined as the signature wants them.
    signed: String,
    /// Our answer to the client's first message.
    pub(crate) server_first: String,
}

impl Exchange {
    /// Reads `n,,n=user,r=nonce`. The name in it is ignored, as PostgreSQL does: the start-up message decides.
    pub(crate) fn begin(
        verifier: Verifier,
        client_first: &[u8],
        random: [u8; NONCE],
    ) -> Result<Exchange, Failure> {
        let text = utf8(client_first)?;
        let mut parts = text.splitn(3, ',');
        let (flag, authzid) = (parts.next().unwrap_or(""), parts.next().unwrap_or("?"));
        let bare = parts.next().ok_or(Failure::Malformed("truncated message"))?;
        match flag {
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(Failure::Malformed("channel binding was not offered")),
            _ => return Err(Failure::Malformed("unexpected channel-binding flag")),
        }
        if !authzid.is_empty() {
            return Err(Failure::Malformed("authorization identities are not supported"));
        }
        let mut attributes = bare.split(',');
        attributes
            .next()
            .filter(|a| a.starts_with("n="))
            .ok_or(Failure::Malformed("expected the user name"))?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).unwrap_or("");
        if nonce.is_empty() || !nonce.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err(Failure::Malformed("invalid nonce"));
        }
        let nonce = format!("{nonce}{}", STANDARD.encode(random));
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let signed = format!("{bare},{server_first}");
        Ok(Exchange { verifier, gs2: format!("{flag},,"), nonce, signed, server_first })
    }

    /// Reads `c=…,r=…,p=proof`; the result is our last message, which proves that we know the verifier.
    pub(crate) fn finish(self, client_final: &[u8]) -> Result<String, Failure> {
        let text = utf8(client_final)?;
        let (unproven, proof) = text.rsplit_once(",p=").ok_or(Failure::Malformed("expected a proof"))?;
        let mut attributes = unproven.split(',');
        let binding = attributes.next().and_then(|a| a.strip_prefix("c="));
        if binding != Some(STANDARD.encode(&self.gs2).as_str()) {
            return Err(Failure::Malformed("unexpected channel-binding attribute"));
        }
        if attributes.next().and_then(|a| a.strip_prefix("r=")) != Some(&self.nonce) {
            return Err(Failure::Malformed("nonce does not match"));
        }
        let proof = STANDARD.decode(proof).ok().and_then(|p| Key::try_from(p).ok());
        let mut key = proof.ok_or(Failure::Malformed("malformed proof"))?;
        let signed = [self.signed.as_bytes(), b",", unproven.as_bytes()];
        let signature = mac(&self.verifier.stored_key, &signed);
        key.iter_mut().zip(signature).for_each(|(k, s)| *k ^= s);
        let fits = Key::from(Sha256::digest(key)).ct_eq(&self.verifier.stored_key);
        if !bool::from(fits) {
            return Err(Failure::WrongPassword);
        }
        Ok(format!("v={}", STANDARD.encode(mac(&self.verifier.server_key, &signed))))
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

fn utf8(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|_| Failure::Malformed("not UTF-8"))
}

fn mac(key: &Key, parts: &[&[u8]]) -> Key {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    fn log_in(verifier: Verifier, password: &str) -> Result<(), Failure> {
        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let exchange = Exchange::begin(verifier, client.message(), [7; NONCE])?;
        client.update(exchange.server_first.as_bytes()).unwrap();
        let last = exchange.finish(client.message())?;
        client.finish(last.as_bytes()).unwrap();
        Ok(())
    }

    #[test]
    fn the_right_password_and_wrong_ones() {
        assert_eq!(log_in(Verifier::of_password("pässword"), "pässword"), Ok(()));
        for wrong in ["password", "", "pässword "] {
            assert_eq!(
                log_in(Verifier::of_password("pässword"), wrong),
                Err(Failure::WrongPassword),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_missing_role_looks_like_a_wrong_password() {
        let mock = Verifier::mock(&[1; KEY], "nobody");
        assert_eq!(mock.salt, Verifier::mock(&[1; KEY], "nobody").salt);
        assert_ne!(mock.salt, Verifier::mock(&[1; KEY], "somebody").salt);
        assert_eq!(log_in(mock, "anything"), Err(Failure::WrongPassword));
    }

    #[test]
    fn verifiers_as_postgresql_stores_them() {
        let key = STANDARD.encode([0; 32]);
        let good = format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}");
        assert!(good.parse::<Verifier>().is_ok());
        let short = STANDARD.encode([0; 31]);
        for bad in [
            "",
            "md5abc",
            "SCRAM-SHA-256$",
            &format!("SCRAM-SHA-256$x:c2FsdA==${key}:{key}"),
            &format!("SCRAM-SHA-256$4096:c2FsdA==${short}:{key}"),
            &good[..good.len() - 5],
        ] {
            assert!(bad.parse::<Verifier>().is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", good.parse::<Verifier>()), "Ok(Verifier(…))");
    }

    #[test]
    fn malformed_messages_are_refused() {
        let verifier = Verifier::of_password("x");
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n=",
            "n,,n=,r=",
            "x,,n=,r=a",
            "p=tls-unique,,n=,r=a",
            "n,a=me,n=,r=a",
            "n,,r=a,n=",
            "n,,m=x,n=,r=a",
            "n,,n=,r=a b",
            "n,,n=,r=ä",
        ] {
            assert!(Exchange::begin(verifier.clone(), bad.as_bytes(), [0; NONCE]).is_err(), "{bad}");
        }
        assert!(Exchange::begin(verifier.clone(), &[0xff, 0xfe], [0; NONCE]).is_err());
        for bad in ["", "c=biws", "c=biws,r=", "c=biws,r=a,p=", "p=", ",p=AAAA", "c=eSws,r=a,p=AAAA"] {
            let exchange = Exchange::begin(verifier.clone(), b"n,,n=,r=a", [0; NONCE]).unwrap();
            assert!(matches!(exchange.finish(bad.as_bytes()), Err(Failure::Malformed(_))), "{bad}");
        }
    }
}
