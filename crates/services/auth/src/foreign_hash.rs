//! Password hashes that people bring along from elsewhere: argon2 and Firebase's scrypt.
//!
//! A hash names its own cost. Whoever writes one must not be able to take a core or the memory: dearer ones are no
//! hashes here. The reference lets argon2 take a gigabyte; the limits below leave room for every recommended
//! setting.

use aes::cipher::{KeyIvInit, StreamCipher};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Kibibytes that argon2 may fill.
const ARGON2_MEMORY_MAX: u32 = 128 * 1024;
const ARGON2_PASSES_MAX: u32 = 20;
/// Kibibytes times passes: about a second.
const ARGON2_WORK_MAX: u32 = 1024 * 1024;
const ARGON2_LANES_MAX: u32 = 16;
/// Bytes that scrypt may fill.
const SCRYPT_MEMORY_MAX: u64 = 64 * 1024 * 1024;
const SCRYPT_LANES_MAX: u32 = 4;
/// Salts and hashes are no longer.
const PART_BYTES_MAX: usize = 128;

/// A hash of another kind than ours, with costs that we can afford.
pub(crate) enum ForeignHash {
    Argon2 { algorithm: Algorithm, params: Params, salt: Vec<u8>, hash: Vec<u8> },
    Firebase { params: scrypt::Params, salt: Vec<u8>, signer: Vec<u8>, hash: Vec<u8> },
}

impl ForeignHash {
    /// Reads a hash.
    pub(crate) fn parse(text: &str) -> Option<ForeignHash> {
        let rest = text.strip_prefix('$')?;
        let parts: Vec<&str> = rest.splitn(6, '$').collect();
        match parts.as_slice() {
            ["argon2i", "v=19", params, salt, hash] => argon2(Algorithm::Argon2i, params, salt, hash),
            ["argon2id", "v=19", params, salt, hash] => argon2(Algorithm::Argon2id, params, salt, hash),
            ["fbscrypt", params, salt, hash] => firebase(params, salt, hash),
            _ => None,
        }
    }

    /// Whether the password is the one that was hashed. Takes as long as the hash says.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        match self {
            ForeignHash::Argon2 { algorithm, params, salt, hash } => {
                let mut out = vec![0; hash.len()];
                let argon2 = Argon2::new(*algorithm, Version::V0x13, params.clone());
                argon2.hash_password_into(password, salt, &mut out).is_ok() && token::same_secret(&out, hash)
            }
            ForeignHash::Firebase { params, salt, signer, hash } => {
                let mut key = [0u8; 32];
                if scrypt::scrypt(password, salt, params, &mut key).is_err() {
                    return false;
                }
                // Firebase encrypts a key of the project with what scrypt gives.
                let mut out = signer.clone();
                let mut cipher = ctr::Ctr128BE::<aes::Aes256>::new(&key.into(), &[0u8; 16].into());
                cipher.apply_keystream(&mut out);
                token::same_secret(&out, hash)
            }
        }
    }
}

/// The number of a setting `name=number`.
fn number(setting: Option<&str>, name: &str) -> Option<u32> {
    setting?.strip_prefix(name)?.strip_prefix('=')?.parse().ok()
}

fn argon2(algorithm: Algorithm, params: &str, salt: &str, hash: &str) -> Option<ForeignHash> {
    let mut settings = params.split(',');
    let memory = number(settings.next(), "m").filter(|m| *m <= ARGON2_MEMORY_MAX)?;
    let passes = number(settings.next(), "t").filter(|t| *t <= ARGON2_PASSES_MAX)?;
    let lanes = number(settings.next(), "p").filter(|p| *p <= ARGON2_LANES_MAX)?;
    if settings.next().is_some() || memory.saturating_mul(passes) > ARGON2_WORK_MAX {
        return None;
    }
    let decode = |part: &str| {
        let bytes = STANDARD_NO_PAD.decode(part.trim_end_matches('=')).ok();
        bytes.filter(|bytes| (4..=PART_BYTES_MAX).contains(&bytes.len()))
    };
    let (salt, hash) = (decode(salt).filter(|salt| salt.len() >= 8)?, decode(hash)?);
    let params = Params::new(memory, passes, lanes, Some(hash.len())).ok()?;
    Some(ForeignHash::Argon2 { algorithm, params, salt, hash })
}

fn firebase(params: &str, salt: &str, hash: &str) -> Option<ForeignHash> {
    let mut settings = params.split(',');
    number(settings.next(), "v").filter(|version| *version == 1)?;
    let log_n = number(settings.next(), "n").filter(|n| (1..=20).contains(n))?;
    let r = number(settings.next(), "r").filter(|r| (1..=32).contains(r))?;
    let p = number(settings.next(), "p").filter(|p| (1..=SCRYPT_LANES_MAX).contains(p))?;
    if (128 * u64::from(r)) << log_n > SCRYPT_MEMORY_MAX {
        return None;
    }
    let decode =
        |part: &str| STANDARD.decode(part).ok().filter(|bytes| (1..=PART_BYTES_MAX).contains(&bytes.len()));
    let (mut separator, mut signer) = (None, None);
    for setting in settings {
        match setting.split_once('=')? {
            ("ss", value) if separator.is_none() => separator = Some(decode(value)?),
            ("sk", value) if signer.is_none() => signer = Some(decode(value)?),
            _ => return None,
        }
    }
    let mut salt = decode(salt)?;
    salt.extend(separator.unwrap_or_default());
    let (signer, hash) = (signer?, decode(hash)?);
    let params = scrypt::Params::new(u8::try_from(log_n).ok()?, r, p, 32).ok()?;
    Some(ForeignHash::Firebase { params, salt, signer, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation of Firebase's own tool.
    pub(crate) const FIREBASE: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

    fn verifies(hash: &str, password: &str) -> bool {
        ForeignHash::parse(hash).unwrap().verify(password.as_bytes())
    }

    #[test]
    fn hashes_of_other_programs_verify() {
        // From the reference implementation's own tests (argon2) and Firebase's (password user1password).
        let known = [
            (
                "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "password",
            ),
            (
                "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
                "password",
            ),
            (FIREBASE, "user1password"),
        ];
        for (hash, password) in known {
            assert!(verifies(hash, password), "{hash}");
            assert!(!verifies(hash, "wrong"), "{hash}");
        }
    }

    #[test]
    fn what_costs_too_much_or_is_no_hash_is_refused() {
        let argon2 = |params: &str| {
            format!("$argon2id$v=19${params}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
        };
        assert!(ForeignHash::parse(&argon2("m=131072,t=8,p=4")).is_some());
        for params in [
            "m=131073,t=1,p=1",
            "m=65536,t=21,p=1",
            "m=131072,t=9,p=1",
            "m=65536,t=2,p=17",
            "m=0,t=1,p=1",
            "m=65536,t=0,p=1",
            "m=4294967296,t=1,p=1",
            "m=65536,t=2,p=1,keyid=x",
            "t=2,m=65536,p=1",
            "",
        ] {
            assert!(ForeignHash::parse(&argon2(params)).is_none(), "{params}");
        }
        for (from, to) in [
            ("n=14", "n=17"),
            ("n=14", "n=31"),
            ("n=14", "n=0"),
            ("r=8", "r=4294967295"),
            ("p=1,", "p=9,"),
            ("v=1,", "v=2,"),
            ("ss=Bw==", "ss=%%"),
            (",sk=", ",zz="),
            ("42xEC+ixf3L2lw==", ""),
        ] {
            let changed = FIREBASE.replacen(from, to, 1);
            assert_ne!(changed, FIREBASE);
            assert!(ForeignHash::parse(&changed).is_none(), "{to}");
        }
        for text in [
            "",
            "$",
            "$argon2d$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAA",
            "$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAA",
            "$2a$10$x",
        ] {
            assert!(ForeignHash::parse(text).is_none(), "{text}");
        }
    }
}
