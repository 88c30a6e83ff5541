//! Limits on requests of a client, on messages of a project, and on guesses.

mod counters;

pub use counters::Counters;

use crate::call::{Call, limit_key};
use crate::moment::Moment;
use crate::refusal::{Outcome, Refusal, refuse};
use crate::settings::{RateLimits, Settings};
use counters::{Full, Messages, Pace, Rate};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

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

/// The limits of one project.
#[derive(Debug)]
pub(crate) struct Limits {
    rates: RateLimits,
    counters: Arc<Counters>,
}

impl Limits {
    pub(crate) fn new(rates: &RateLimits, counters: Arc<Counters>) -> Limits {
        Limits { rates: rates.clone(), counters }
    }

    /// Counts a request; refuses it when its client has sent too many.
    pub(crate) fn count(&self, bucket: Bucket, settings: &Settings, call: &Call) -> Outcome<()> {
        let Some(client) = limit_key(&call.headers, settings) else { return Ok(()) };
        let rate = self.rate(bucket);
        let taken = self.counters.take(bucket, client, rate, call.now);
        let refusal = || refuse(429, "over_request_rate_limit", "Request rate limit reached");
        // A burst is small and not negative.
        taken.map_err(|full| with_limit(refusal(), rate.burst as u32, full))
    }

    fn rate(&self, bucket: Bucket) -> Rate {
        const BURST: f64 = 30.0;
        let (count, seconds, burst) = match bucket {
            Bucket::Signup
            | Bucket::Recover
            | Bucket::Resend
            | Bucket::MagicLink
            | Bucket::Otp
            | Bucket::User => (self.rates.otp, 300.0, BURST),
            Bucket::Anonymous => (self.rates.anonymous, 3600.0, f64::from(self.rates.anonymous)),
            Bucket::Token => (self.rates.token_refresh, 300.0, BURST),
            Bucket::Verify => (self.rates.verify, 300.0, BURST),
            Bucket::Web3 => (self.rates.web3, 300.0, BURST),
            Bucket::Sso => (self.rates.sso, 300.0, BURST),
            Bucket::SamlAssertion => (self.rates.saml_assertion, 300.0, BURST),
            Bucket::ClientRegistration => (self.rates.oauth_register, 300.0, BURST),
            Bucket::Passkey => (self.rates.passkey, 300.0, BURST),
            Bucket::FactorChallenge | Bucket::FactorVerify => (self.rates.mfa, 60.0, BURST),
        };
        Rate { refill: f64::from(count) / seconds, burst }
    }

    /// Counts a wrong code for an address or a factor. True when it was one too many in a row.
    pub(crate) fn count_wrong_code(&self, name: &str, now: Moment) -> bool {
        self.counters.count_wrong_code(name, now)
    }

    /// Forgets the wrong codes for an address or a factor, after a right one.
    pub(crate) fn forget_wrong_codes(&self, name: &str) {
        self.counters.forget(name);
    }

    /// Lets somebody guess at a factor, unless there have been too many guesses in the last hour, in whichever session.
    pub(crate) fn begin_guess(&self, name: &str, now: Moment) -> Outcome<()> {
        let message = "Too many wrong codes, please try again later";
        let refusal = || refuse(429, "over_request_rate_limit", message);
        self.counters.begin_guess(name, now).map_err(|(limit, full)| with_limit(refusal(), limit, full))
    }

    /// What had begun as a guess was none: nothing was right or wrong.
    pub(crate) fn end_guess(&self, name: &str) {
        self.counters.end_guess(name);
    }

    /// Counts a mail; refuses it when the project has sent enough. None counts while addresses confirm themselves.
    pub(crate) fn count_mail(&self, settings: &Settings, now: Moment) -> Outcome<()> {
        let limit = self.rates.email_sent;
        if settings.mailer_autoconfirm && limit > 0 {
            return Ok(());
        }
        let counted = self.counters.count(Messages::Mails, pace(limit, settings.mail.sent_refill), now);
        let refusal = || refuse(429, "over_email_send_rate_limit", "email rate limit exceeded");
        counted.map_err(|full| with_limit(refusal(), limit, full))
    }

    /// Counts a text message as [`Limits::count_mail`] does a mail.
    pub(crate) fn count_text(&self, settings: &Settings, now: Moment) -> Outcome<()> {
        if settings.sms_autoconfirm {
            return Ok(());
        }
        let limit = self.rates.sms_sent;
        let counted = self.counters.count(Messages::Texts, pace(limit, settings.sms.sent_refill), now);
        let refusal = || refuse(429, "over_sms_send_rate_limit", "SMS rate limit exceeded");
        counted.map_err(|full| with_limit(refusal(), limit, full))
    }
}

fn pace(limit: u32, refill: Option<Duration>) -> Pace {
    refill.map_or(Pace::Hourly(limit), |every| Pace::Bucket(limit, every))
}

/// The refusal of another message to somebody so soon.
pub(crate) fn too_soon(code: &'static str, wait_s: i64) -> Refusal {
    let message = format!("For security purposes, you can only request this after {wait_s} seconds.");
    with_headers(refuse(429, code, message), &[("retry-after", wait_s)])
}

/// A refusal that says how many there may be and when to come back.
fn with_limit(refusal: Refusal, limit: u32, Full { wait_s }: Full) -> Refusal {
    let headers = [
        ("retry-after", wait_s),
        ("x-ratelimit-limit", i64::from(limit)),
        ("x-ratelimit-remaining", 0),
        ("x-ratelimit-reset", wait_s),
    ];
    with_headers(refusal, &headers)
}

fn with_headers(mut refusal: Refusal, headers: &[(&'static str, i64)]) -> Refusal {
    for (name, value) in headers {
        refusal.fault = refusal.fault.with_header(HeaderName::from_static(name), HeaderValue::from(*value));
    }
    refusal
}
