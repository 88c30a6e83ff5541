//! Refresh tokens that carry session and counter themselves, signed with a key of the session.
//!
//! The form is the reference's: version 0, the session's id, the counter as a variable-length integer, the first
//! half of an HMAC-SHA256, and four bytes of a checksum by which made-up tokens are refused without a look at the
//! database; base64url.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use model::Secret;
use ring::hmac;
use std::ops::Range;
use uuid::Uuid;

const VERSION: u8 = 0;
const MAC_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
/// Lengths without base64url: with a counter of one byte, and of as many as there can be.
const BYTES: Range<usize> = 38..48;

/// A token whose form and checksum are right. Whether the session's key signed it is another question.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SignedToken {
    pub(crate) session: Uuid,
    pub(crate) counter: i64,
    signed: Vec<u8>,
    mac: [u8; MAC_BYTES],
}

impl std::fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedToken")
            .field("session", &self.session)
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

impl SignedToken {
    /// Reads a token.
    pub(crate) fn parse(text: &str) -> Option<SignedToken> {
        // Four characters are three bytes.
        if text.len() > BYTES.end * 4 / 3 {
            return None;
        }
        let bytes = B64.decode(text).ok().filter(|bytes| BYTES.contains(&bytes.len()))?;
        let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if token::sha256(body)[..CHECKSUM_BYTES] != *checksum {
            return None;
        }
        let (signed, mac) = body.split_at(body.len() - MAC_BYTES);
        let (version, rest) = signed.split_first()?;
        let (session, counter) = rest.split_at_checked(16)?;
        if *version != VERSION {
            return None;
        }
        Some(SignedToken {
            session: Uuid::from_slice(session).ok()?,
            counter: read_varint(counter)?,
            signed: signed.to_vec(),
            mac: mac.try_into().ok()?,
        })
    }

    /// Whether the session's key signed it.
    pub(crate) fn is_signed_by(&self, key: &Secret) -> bool {
        mac(key, &self.signed).is_some_and(|expected| token::same_secret(&expected, &self.mac))
    }
}

/// A new key of a session, in the form of its column.
pub(crate) fn new_key() -> Secret {
    Secret::new(B64.encode(token::random_bytes::<32>()))
}

/// The token of a session with this counter; nothing when the key is not one.
pub(crate) fn write(session: Uuid, counter: i64, key: &Secret) -> Option<String> {
    let mut bytes = Vec::with_capacity(BYTES.end);
    bytes.push(VERSION);
    bytes.extend_from_slice(session.as_bytes());
    write_varint(u64::try_from(counter).ok()?, &mut bytes);
    let mac = mac(key, &bytes)?;
    bytes.extend_from_slice(&mac);
    let checksum = token::sha256(&bytes);
    bytes.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
    Some(B64.encode(bytes))
}

fn mac(key: &Secret, message: &[u8]) -> Option<[u8; MAC_BYTES]> {
    let key = B64.decode(key.expose()).ok().filter(|key| key.len() >= 16)?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), message);
    tag.as_ref().get(..MAC_BYTES)?.try_into().ok()
}

fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number that fills the bytes and is written in the shortest way.
fn read_varint(bytes: &[u8]) -> Option<i64> {
    let (last, head) = bytes.split_last()?;
    let is_canonical = *last < 0x80 && (head.is_empty() || *last != 0);
    if bytes.len() > 9 || !is_canonical || head.iter().any(|byte| byte & 0x80 == 0) {
        return None;
    }
    let number = bytes.iter().rev().fold(0u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
    i64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

    #[test]
    fn tokens_say_what_was_written_and_nobody_else_writes_them() {
        let (key, other) = (new_key(), new_key());
        for counter in [0, 1, 127, 128, 300, i64::MAX] {
            let text = write(SESSION, counter, &key).unwrap();
            let token = SignedToken::parse(&text).unwrap();
            assert_eq!((token.session, token.counter), (SESSION, counter));
            assert!(token.is_signed_by(&key) && !token.is_signed_by(&other), "{counter}");
        }
        assert_eq!(write(SESSION, -1, &key), None);
        assert_eq!(write(SESSION, 0, &Secret::new("short")), None);
    }

    /// Byte by byte, as the reference writes it.
    #[test]
    fn the_form_is_that_of_the_reference() {
        let key: Vec<u8> = (0..32).collect();
        let text = write(SESSION, 300, &Secret::new(B64.encode(key))).unwrap();
        let bytes = B64.decode(&text).unwrap();
        assert_eq!(bytes.len(), 1 + 16 + 2 + 16 + 4);
        assert_eq!(
            bytes[..19],
            *b"\x00\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\xac\x02"
        );
        assert_eq!(bytes[35..], token::sha256(&bytes[..35])[..4]);
    }

    #[test]
    fn whatever_is_changed_is_refused() {
        let key = new_key();
        let good = B64.decode(write(SESSION, 5, &key).unwrap()).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert_eq!(SignedToken::parse(&B64.encode(&bytes)), None, "byte {at}: the checksum");
            // With a checksum made to fit, the signature does not.
            let end = bytes.len() - CHECKSUM_BYTES;
            let checksum = token::sha256(&bytes[..end]);
            bytes[end..].copy_from_slice(&checksum[..CHECKSUM_BYTES]);
            let forged = SignedToken::parse(&B64.encode(&bytes));
            let is_good = forged.is_some_and(|token| token.is_signed_by(&key));
            assert_eq!(is_good, at >= end, "byte {at}");
        }
        for text in ["", "abcdefghijkl", "%", &"A".repeat(64), &"A".repeat(1000), &B64.encode(&good[1..])] {
            assert_eq!(SignedToken::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_written_in_one_way_only() {
        assert_eq!(read_varint(&[0x80, 0x00]), None);
        assert_eq!(read_varint(&[0x01, 0x01]), None);
        assert_eq!(read_varint(&[0x80]), None);
        assert_eq!(read_varint(&[]), None);
        assert_eq!(read_varint(&[0xff; 10]), None);
        assert_eq!(read_varint(&[0xac, 0x02]), Some(300));
    }
}
