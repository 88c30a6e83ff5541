//! A page with a button between a link in a mail and what the link does.
//!
//! Programs that look at mail follow every link in it, and would use the links up before people do. They press no
//! buttons.

use crate::call::Call;
use crate::reply;
use axum::body::Body;
use http::{HeaderValue, Response, header};

const PAGE: &str = include_str!("confirm_page.html");
/// No more than the page needs: nothing is loaded, nobody frames it. Where the form leads in the end is for the
/// project's settings to say, so that is left open.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// Whether the button of the page was pressed.
pub(super) fn is_pressed(call: &Call) -> bool {
    call.header("content-type").starts_with("application/x-www-form-urlencoded")
}

/// The page for a link of this kind.
pub(super) fn show(kind: &str) -> Response<Body> {
    let (title, text, button) = match kind {
        "recovery" => ("Reset your password", "Continue to choose a new password.", "Continue"),
        "magiclink" | "email" => ("Sign in", "Continue to sign in.", "Sign in"),
        "invite" => ("Accept the invitation", "Continue to accept the invitation.", "Accept"),
        "email_change" => ("Confirm your email address", "Continue to confirm the new address.", "Confirm"),
        _ => ("Confirm your email address", "Continue to confirm your email address.", "Confirm"),
    };
    let page = PAGE.replace("{title}", title).replace("{text}", text).replace("{button}", button);
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply::set(&mut response, "x-robots-tag", "noindex");
    response
}
