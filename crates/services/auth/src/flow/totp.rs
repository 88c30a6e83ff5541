//! Codes that change with the time (RFC 6238): SHA-1, six digits, thirty seconds.

use ring::hmac;

const PERIOD_SECONDS: i64 = 30;
/// How many steps a phone's clock may be wrong.
const SKEW_STEPS: i64 = 1;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret of 160 bits, in base 32.
pub(crate) fn new_secret() -> String {
    encode(&token::random_bytes::<20>())
}

/// The address by which an app learns the secret.
pub(crate) fn uri(issuer: &str, account: &str, secret: &str) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let escape = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (issuer, account) = (escape(issuer), escape(account));
    format!(
        "otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits=6&issuer={issuer}&period={PERIOD_SECONDS}&secret={secret}"
    )
}

/// The step whose code this is, if it is one of the steps around now.
pub(crate) fn verify(secret: &str, code: &str, unix: i64) -> Option<i64> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &decode(secret)?);
    let step = unix / PERIOD_SECONDS;
    let code = code.trim();
    (step - SKEW_STEPS..=step + SKEW_STEPS)
        .find(|step| token::same_secret(code_at(&key, *step).as_bytes(), code.as_bytes()))
}

fn code_at(key: &hmac::Key, step: i64) -> String {
    let mac = hmac::sign(key, &step.to_be_bytes());
    let mac = mac.as_ref();
    let offset = usize::from(mac[mac.len() - 1] & 0x0f);
    let word = mac[offset..offset + 4].iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

fn encode(bytes: &[u8]) -> String {
    let (mut out, mut buffer, mut bits) = (String::new(), 0u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(BASE32[(buffer >> bits & 31) as usize] as char);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(BASE32[(buffer << (5 - bits) & 31) as usize] as char);
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut buffer, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = BASE32.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        buffer = buffer << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
        }
        buffer &= (1 << bits) - 1;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6238() {
        let secret = encode(b"12345678901234567890");
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(verify(&secret, "287082", 59), Some(1));
        assert_eq!(verify(&secret, "081804", 1_111_111_109), Some(37_037_036));
        assert_eq!(verify(&secret, "287082", 59 + 30), Some(1), "one step of skew");
        assert_eq!(verify(&secret, "287082", 59 + 60), None);
        assert_eq!(verify(&secret, "", 59), None);
    }

    #[test]
    fn secrets_survive_base_32() {
        for length in [1, 2, 3, 4, 5, 20] {
            let bytes: Vec<u8> = (0..length).collect();
            assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
        assert_eq!(new_secret().len(), 32);
        assert_eq!(decode("1"), None);
    }
}
