//! The page, and messages as pages.

use super::{answer, api, text};
use crate::message;
use crate::store::Catcher;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use http::{HeaderValue, Response, StatusCode, header};

/// The page loads only what we serve, and shows messages in frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A message is a stranger: it runs nothing, sends nothing, and has no origin of its own. Links work.
const MESSAGE_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
                              style-src 'unsafe-inline'; img-src data: https: http:; font-src data:; base-uri 'none'; form-action 'none'";

pub(super) async fn index() -> Response<Body> {
    let page = answer(StatusCode::OK, "text/html; charset=utf-8", include_str!("../page/index.html"));
    with_policy(page, POLICY)
}

pub(super) async fn style() -> Response<Body> {
    answer(StatusCode::OK, "text/css; charset=utf-8", include_str!("../page/app.css"))
}

pub(super) async fn script() -> Response<Body> {
    answer(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("../page/app.js"))
}

/// Leads to the newest message.
pub(super) async fn latest(State(catcher): State<Catcher>) -> Response<Body> {
    let Some(kept) = catcher.all().into_iter().next() else {
        return text(StatusCode::NOT_FOUND, "Message not found");
    };
    let mut response = text(StatusCode::FOUND, "");
    if let Ok(place) = HeaderValue::from_str(&format!("/#{}", kept.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// `<id>.html` or `<id>.txt`; the id may be `latest`.
pub(super) async fn view(
    State(catcher): State<Catcher>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let Some((id, kind)) = name.rsplit_once('.').filter(|(_, kind)| matches!(*kind, "html" | "txt")) else {
        return text(StatusCode::NOT_FOUND, "Message not found");
    };
    let wanted = form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "query")
        .map(|(_, value)| value.into_owned());
    let Some(kept) = api::find(&catcher, id, &wanted.unwrap_or_default()).await else {
        return text(StatusCode::NOT_FOUND, "Message not found");
    };
    let Ok(raw) = catcher.raw(&kept).await else { return text(StatusCode::NOT_FOUND, "Message not found") };
    let (html, plain) = message::bodies(&raw);
    if kind == "txt" {
        return text(StatusCode::OK, plain);
    }
    // In the frame of the page links open beside it.
    let framed = query.is_some_and(|query| query.contains("embed=1"));
    let html = if framed { format!("<base target=\"_blank\">{html}") } else { html };
    with_policy(answer(StatusCode::OK, "text/html; charset=utf-8", html), MESSAGE_POLICY)
}

fn with_policy(mut response: Response<Body>, policy: &'static str) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
