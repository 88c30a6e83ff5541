//! Limits on requests a client and on messages a project, counted in memory.

use crate::call::{Call, limit_key};
use crate::moment::Moment;
use crate::refusal::{Outcome, Refusal, refuse};
use crate::settings::{RateLimits, Settings};
use http::{HeaderName, HeaderValue};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Clients remembered; beyond it the one that was seen longest ago is forgotten.
const CLIENTS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// What a client's requests are counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    Signup,
    Recover,
    Resend,
    MagicLink,
    Otp,
    User,
    Anonymous,
    Token,
    Verify,
    FactorChallenge,
    FactorVerify,
    ClientRegistration,
    Passkey,
    Web3,
    Sso,
    SamlAssertion,
}

/// Passkey sign-ins that a client may begin in five minutes.
const PASSKEYS: u32 = 30;

/// Wrong codes for an address after which the right one is taken away. The reference lets one guess for ever.
const WRONG_CODES_MAX: u32 = 10;

/// Counters of one project.
#[derive(Debug)]
pub(crate) struct Limits {
    rates: RateLimits,
    clients: Mutex<LruCache<(Bucket, String), Level>>,
    mails: Mutex<Window>,
    texts: Mutex<Window>,
    wrong_codes: Mutex<LruCache<String, u32>>,
}

/// The tokens left in a bucket.
#[derive(Debug, Clone, Copy)]
struct Level {
    tokens: f64,
    at: Moment,
}

/// Messages of the current hour.
#[derive(Debug, Default)]
struct Window {
    start: i64,
    count: u32,
}

/// A bounded cache that takes memory only for what is in it: one made with its capacity would take a quarter of a
/// megabyte of every project that is in use.
fn growing<K: std::hash::Hash + Eq, V>(max: NonZeroUsize) -> LruCache<K, V> {
    let mut cache = LruCache::unbounded();
    cache.resize(max);
    cache
}

impl Limits {
    pub(crate) fn new(rates: &RateLimits) -> Limits {
        Limits {
            rates: rates.clone(),
            clients: Mutex::new(growing(CLIENTS_MAX)),
            mails: Mutex::default(),
            texts: Mutex::default(),
            wrong_codes: Mutex::new(growing(CLIENTS_MAX)),
        }
    }

    /// Counts a request; refuses it when its client has sent too many.
    pub(crate) fn count(&self, bucket: Bucket, settings: &Settings, call: &Call) -> Outcome<()> {
        let Some(client) = limit_key(&call.headers, settings) else { return Ok(()) };
        let (rate, burst) = self.rate(bucket);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let level = clients.get_or_insert_mut((bucket, client), || Level { tokens: burst, at: call.now });
        let passed = call.now.seconds_since(level.at).max(0);
        if passed > 0 {
            level.tokens = (level.tokens + passed as f64 * rate).min(burst);
            level.at = call.now;
        }
        if level.tokens < 1.0 {
            let wait = if rate > 0.0 { ((1.0 - level.tokens) / rate).ceil() } else { 3600.0 };
            return Err(exhausted(burst, wait));
        }
        level.tokens -= 1.0;
        Ok(())
    }

    /// Tokens a second, and how many a bucket holds.
    fn rate(&self, bucket: Bucket) -> (f64, f64) {
        let per = |count: u32, seconds: u32| f64::from(count) / f64::from(seconds);
        match bucket {
            Bucket::Signup
            | Bucket::Recover
            | Bucket::Resend
            | Bucket::MagicLink
            | Bucket::Otp
            | Bucket::User => (per(self.rates.otp, 300), 30.0),
            Bucket::Anonymous => (per(self.rates.anonymous, 3600), f64::from(self.rates.anonymous)),
            Bucket::Token => (per(self.rates.token_refresh, 300), 30.0),
            Bucket::Verify => (per(self.rates.verify, 300), 30.0),
            Bucket::Web3 => (per(self.rates.web3, 300), 30.0),
            Bucket::Sso => (per(self.rates.sso, 300), 30.0),
            Bucket::SamlAssertion => (per(self.rates.saml_assertion, 300), 30.0),
            Bucket::ClientRegistration => (per(self.rates.oauth_register, 300), 30.0),
            Bucket::Passkey => (per(PASSKEYS, 300), 30.0),
            Bucket::FactorChallenge | Bucket::FactorVerify => (per(self.rates.mfa, 60), 30.0),
        }
    }

    /// Counts a wrong code for an address. True when it was one too many; the count starts again then.
    pub(crate) fn count_wrong_code(&self, address: &str) -> bool {
        let mut counts = self.wrong_codes.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_or_insert_mut(address.to_owned(), || 0);
        *count += 1;
        let too_many = *count >= WRONG_CODES_MAX;
        if too_many {
            counts.pop(address);
        }
        too_many
    }

    /// Forgets the wrong codes for an address, after a right one.
    pub(crate) fn forget_wrong_codes(&self, address: &str) {
        self.wrong_codes.lock().unwrap_or_else(PoisonError::into_inner).pop(address);
    }

    /// Counts a mail; refuses it when the project's hour is full. None counts while addresses confirm themselves.
    pub(crate) fn count_mail(&self, settings: &Settings, now: Moment) -> Outcome<()> {
        let limit = self.rates.email_sent;
        let free = settings.mailer_autoconfirm && limit > 0;
        let room = || match settings.mail.sent_refill {
            None => count_in_hour(&self.mails, limit, now),
            Some(every) => count_in_bucket(&self.mails, limit, every, now),
        };
        if free || room() {
            return Ok(());
        }
        Err(refuse(429, "over_email_send_rate_limit", "email rate limit exceeded"))
    }

    /// Counts a text message as [`Limits::count_mail`] does a mail.
    pub(crate) fn count_text(&self, settings: &Settings, now: Moment) -> Outcome<()> {
        if settings.sms_autoconfirm || count_in_hour(&self.texts, self.rates.sms_sent, now) {
            return Ok(());
        }
        Err(refuse(429, "over_sms_send_rate_limit", "SMS rate limit exceeded"))
    }
}

/// Whether there is one left in a bucket that gets another one every so often; it is taken then.
fn count_in_bucket(window: &Mutex<Window>, limit: u32, every: Duration, now: Moment) -> bool {
    let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    let back = (now.unix() - window.start).max(0) / every;
    if window.start == 0 || back >= i64::from(window.count) {
        *window = Window { start: now.unix(), count: 0 };
    } else {
        window.start += back * every;
        window.count -= u32::try_from(back).unwrap_or(window.count);
    }
    let room = window.count < limit;
    window.count += u32::from(room);
    room
}

/// The refusal of a client who has sent too many, with when to come back.
fn exhausted(burst: f64, wait: f64) -> Refusal {
    let mut refusal = refuse(429, "over_request_rate_limit", "Request rate limit reached");
    // Both are small and not negative.
    let (limit, wait) = (burst as u32, wait as u32);
    let headers: [(&'static str, u32); 4] = [
        ("retry-after", wait),
        ("x-ratelimit-limit", limit),
        ("x-ratelimit-remaining", 0),
        ("x-ratelimit-reset", wait),
    ];
    for (name, value) in headers {
        refusal.fault = refusal.fault.with_header(HeaderName::from_static(name), HeaderValue::from(value));
    }
    refusal
}

/// Whether there is room for one more in the current hour, which is taken then.
fn count_in_hour(window: &Mutex<Window>, limit: u32, now: Moment) -> bool {
    let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
    if now.unix() - window.start >= 3600 {
        *window = Window { start: now.unix(), count: 0 };
    }
    let room = window.count < limit;
    window.count += u32::from(room);
    room
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_bucket_gets_one_back_at_a_time() {
        let at = |seconds: u64| {
            Moment::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds))
        };
        let (window, minute) = (Mutex::default(), Duration::from_secs(60));
        let room = |seconds: u64| count_in_bucket(&window, 2, minute, at(seconds));
        assert_eq!(
            [room(0), room(0), room(59), room(60), room(61), room(119)],
            [true, true, false, true, false, false]
        );
        assert_eq!([room(1000), room(1000), room(1001)], [true, true, false]);
    }
}
