//! One-time codes and the hashes under which they are stored and sent as links.

use crate::moment::Moment;
use sha2::{Digest, Sha224};
use std::time::Duration;

/// What the hash of a code starts with when the answer to it is a PKCE code.
pub(crate) const PKCE_PREFIX: &str = "pkce_";

/// A code and the hash of it together with the address it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneTime {
    pub(crate) code: String,
    pub(crate) hash: String,
}

impl OneTime {
    /// A new code of so many digits for an address.
    pub(crate) fn new(address: &str, digits: usize, pkce: bool) -> OneTime {
        let code = code(digits);
        let mut hash = hash(address, &code);
        if pkce {
            hash.insert_str(0, PKCE_PREFIX);
        }
        OneTime { code, hash }
    }
}

/// Lower-case hex SHA-224 of the address and the code.
pub(crate) fn hash(address: &str, code: &str) -> String {
    hex::encode(Sha224::new().chain_update(address).chain_update(code).finalize())
}

/// Uniformly distributed decimal digits.
fn code(digits: usize) -> String {
    let mut out = String::with_capacity(digits);
    while out.len() < digits {
        // 250 is the largest multiple of ten in a byte; the rest would favour small digits.
        for byte in token::random_bytes::<16>().into_iter().filter(|b| *b < 250).take(digits - out.len()) {
            out.push((b'0' + byte % 10) as char);
        }
    }
    out
}

/// Whether the hash a user presents is the stored one (with or without the PKCE mark) and still fresh.
pub(crate) fn is_valid(
    given: &str,
    stored: Option<&str>,
    sent: Option<Moment>,
    expiry: Duration,
    now: Moment,
) -> bool {
    let (Some(stored), Some(sent)) = (stored.filter(|s| !s.is_empty()), sent) else { return false };
    let stored = stored.strip_prefix(PKCE_PREFIX).unwrap_or(stored);
    now <= sent.plus(expiry) && token::same_secret(given.as_bytes(), stored.as_bytes())
}

/// Whether what was sent then has expired.
pub(crate) fn is_expired(sent: Option<Moment>, expiry: Duration, now: Moment) -> bool {
    sent.is_none_or(|sent| now > sent.plus(expiry))
}

/// The seconds until a message of the same kind may be sent again; nothing when it may be sent now.
pub(crate) fn wait_seconds(sent: Option<Moment>, frequency: Duration, now: Moment) -> Option<i64> {
    let free = sent?.plus(frequency);
    (free > now).then(|| free.seconds_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn at(seconds: u64) -> Moment {
        Moment::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn codes_have_the_length_asked_for() {
        for digits in [6, 10, 40] {
            let one = OneTime::new("a@b.c", digits, false);
            assert_eq!(one.code.len(), digits);
            assert!(one.code.bytes().all(|b| b.is_ascii_digit()));
            assert_eq!(one.hash.len(), 56);
        }
        assert!(OneTime::new("a", 6, true).hash.starts_with("pkce_"));
    }

    #[test]
    fn a_hash_is_good_until_it_expires_and_only_for_its_address() {
        let one = OneTime::new("a@b.c", 6, true);
        let given = hash("a@b.c", &one.code);
        let hour = Duration::from_secs(3600);
        assert!(is_valid(&given, Some(&one.hash), Some(at(0)), hour, at(3600)));
        assert!(!is_valid(&given, Some(&one.hash), Some(at(0)), hour, at(3601)));
        assert!(!is_valid(&hash("x@b.c", &one.code), Some(&one.hash), Some(at(0)), hour, at(1)));
        assert!(!is_valid("", Some(""), Some(at(0)), hour, at(1)));
        assert!(!is_valid("", None, Some(at(0)), hour, at(1)));
    }

    #[test]
    fn messages_wait_for_each_other() {
        let minute = Duration::from_secs(60);
        assert_eq!(wait_seconds(Some(at(10)), minute, at(20)), Some(50));
        assert_eq!(wait_seconds(Some(at(10)), minute, at(70)), None);
        assert_eq!(wait_seconds(None, minute, at(0)), None);
    }
}
