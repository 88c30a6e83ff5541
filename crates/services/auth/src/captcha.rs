//! Captchas: asking their provider whether one was solved.

use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::refusal::{Outcome, internal, refuse};
use crate::settings::CaptchaProvider;
use bytes::Bytes;
use http::{Request, header};
use serde::Deserialize;
use std::time::Duration;

const LIMITS: outbound::Limits = outbound::Limits { timeout: Duration::from_secs(8), body: 64 * 1024 };
const FAILED: &str = "captcha verification process failed";

#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    gotrue_meta_security: Option<Security>,
}

#[derive(Deserialize, Default)]
struct Security {
    #[serde(default)]
    captcha_token: Option<String>,
}

#[derive(Deserialize)]
struct Verdict {
    success: bool,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

/// Refuses a request without a solved captcha where the project wants one. Administrators need none.
pub(crate) async fn check(auth: &Auth, call: &Call) -> Outcome<()> {
    let Some(captcha) = &auth.settings.protection.captcha else { return Ok(()) };
    if Box::pin(guard::admin(auth, call)).await.is_ok() {
        return Ok(());
    }
    let body: Body = call.json()?;
    let token = body.gotrue_meta_security.and_then(|security| security.captcha_token).unwrap_or_default();
    let token = token.trim();
    if token.is_empty() {
        return Err(disallowed("no captcha_token found"));
    }
    let url = captcha.endpoint.as_deref().unwrap_or(match captcha.provider {
        CaptchaProvider::Hcaptcha => "https://hcaptcha.com/siteverify",
        CaptchaProvider::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    });
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("secret", captcha.secret.expose().trim())
        .append_pair("response", token)
        .append_pair("remoteip", &call.ip_text())
        .finish();
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .map_err(|error| internal(FAILED, error))?;
    let answer = auth.captchas.send(request, LIMITS).await.map_err(|error| internal(FAILED, error))?;
    let verdict: Verdict = serde_json::from_slice(answer.body()).map_err(|error| internal(FAILED, error))?;
    if verdict.success { Ok(()) } else { Err(disallowed(&verdict.error_codes.join(", "))) }
}

fn disallowed(why: &str) -> crate::refusal::Refusal {
    refuse(400, "captcha_failed", format!("captcha protection: request disallowed ({why})"))
}
