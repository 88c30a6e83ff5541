//! Whether a password is good enough: by the project's rules, and not among those that were stolen somewhere.

use crate::Auth;
use crate::flow::password::{self, Weakness};
use crate::refusal::{Outcome, internal, weak_password};
use crate::settings::PwnedSettings;
use bytes::Bytes;
use http::Request;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::time::Duration;

const RANGES: &str = "https://api.pwnedpasswords.com";
const LIMITS: outbound::Limits = outbound::Limits { timeout: Duration::from_secs(5), body: 512 * 1024 };

/// Refuses passwords that cannot be hashed or are weak.
pub(crate) async fn check(auth: &Auth, secret: &str) -> Outcome<()> {
    password::check_length(secret)?;
    match weakness(auth, secret).await? {
        None => Ok(()),
        Some(weakness) => Err(weak_password(weakness.message, &weakness.reasons)),
    }
}

/// What makes a password weak, if anything.
pub(crate) async fn weakness(auth: &Auth, secret: &str) -> Outcome<Option<Weakness>> {
    let known = password::weakness(&auth.settings, secret);
    let Some(settings) = &auth.settings.protection.pwned else { return Ok(known) };
    match is_pwned(auth, settings, secret).await {
        Ok(false) => Ok(known),
        Ok(true) => {
            let message = "Password is known to be weak and easy to guess, please choose a different one.";
            let mut weakness = known.unwrap_or(Weakness { message: String::new(), reasons: Vec::new() });
            weakness.reasons.push("pwned");
            weakness.message = [&weakness.message, message].join(" ").trim_start().to_owned();
            Ok(Some(weakness))
        }
        Err(error) if settings.fail_closed => {
            Err(internal("Unable to perform password strength check with HaveIBeenPwned.org.", error))
        }
        Err(error) => {
            tracing::warn!(%error, "passwords are not checked against those that were stolen");
            Ok(known)
        }
    }
}

/// Asks for the hashes that begin as the password's does; the server does not learn which one is meant.
async fn is_pwned(auth: &Auth, settings: &PwnedSettings, secret: &str) -> Result<bool, outbound::Error> {
    let hash = hex::encode_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes()));
    let (prefix, suffix) = hash.split_at(5);
    let base = settings.endpoint.as_deref().unwrap_or(RANGES).trim_end_matches('/');
    let request = Request::get(format!("{base}/range/{prefix}"))
        .header("add-padding", "true")
        .body(Bytes::new())
        .map_err(|_| outbound::Error::Address("it is malformed".to_owned()))?;
    let answer = auth.settings.outbound.send(request, LIMITS).await?;
    if answer.status() != http::StatusCode::OK {
        return Err(outbound::Error::Io(format!("status {}", answer.status().as_u16())));
    }
    let text = String::from_utf8_lossy(answer.body());
    // Padding has a count of nothing.
    Ok(text.lines().filter_map(|line| line.trim().split_once(':')).any(|(known, count)| {
        known.eq_ignore_ascii_case(suffix) && count.trim().parse::<u64>().is_ok_and(|count| count > 0)
    }))
}
