//! A request, read once: its path, query, body and who sent it from where.

use crate::moment::Moment;
use crate::refusal::{Outcome, invalid, refuse};
use crate::settings::Settings;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

/// The largest body.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A request whose body is in memory.
#[derive(Debug)]
pub(crate) struct Call {
    /// The path without a trailing slash.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Set by the gateway when a secret key, not a token, says who is calling.
    pub(crate) caller: Option<model::Caller>,
    pub(crate) ip: Option<IpAddr>,
    /// Whether sessions that start with this request get signed refresh tokens.
    pub(crate) signed_tokens: bool,
    pub(crate) now: Moment,
    /// What a company called the text message that it sent for this request.
    pub(crate) message_id: OnceLock<String>,
}

impl Call {
    pub(crate) async fn read(request: Request<Body>, settings: &Settings, now: Moment) -> Outcome<Call> {
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let message = format!("Request body too large (max {BODY_BYTES_MAX} bytes)");
                return Err(refuse(413, "request_entity_too_large", message));
            }
            Err(_) => return Err(refuse(400, "bad_json", "Could not read the request body")),
        };
        let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        let path = parts.uri.path();
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let query = parts.uri.query().unwrap_or_default();
        Ok(Call {
            path: if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() },
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            ip: client_ip(&parts.headers, settings, peer),
            signed_tokens: settings.refresh_tokens.signed,
            caller: parts.extensions.get::<model::Caller>().cloned(),
            headers: parts.headers,
            body,
            now,
            message_id: OnceLock::new(),
        })
    }

    /// Keeps the first of them for the answer.
    pub(crate) fn note_message(&self, id: String) {
        // A second message of one request has no place in its answer.
        let _ = self.message_id.set(id);
    }

    /// What a company called the text message of this request; the empty text when there was none.
    pub(crate) fn message_id(&self) -> &str {
        self.message_id.get().map_or("", String::as_str)
    }

    /// A query parameter; the empty text when it is missing.
    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the query or, when the body is a form, of the body.
    pub(crate) fn form(&self, name: &str) -> String {
        let value = self.query(name);
        let is_form = self.header("content-type").starts_with("application/x-www-form-urlencoded");
        if !value.is_empty() || !is_form {
            return value.to_owned();
        }
        let found = form_urlencoded::parse(&self.body).find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.into_owned())
    }

    /// A header; the empty text when it is missing or not text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as a JSON object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Outcome<T> {
        let bad =
            |why: String| refuse(400, "bad_json", format!("Could not parse request body as JSON: {why}"));
        // serde would take an array for the fields in their order.
        if self.body.trim_ascii_start().starts_with(b"[") {
            return Err(bad("expected an object, found an array".to_owned()));
        }
        serde_json::from_slice(&self.body).map_err(|e| bad(e.to_string()))
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.header("user-agent")
    }

    /// The client's address as text; empty when unknown.
    pub(crate) fn ip_text(&self) -> String {
        self.ip.map_or_else(String::new, |ip| ip.to_string())
    }

    /// A number of the query with a default.
    pub(crate) fn number(&self, name: &str, default: u64) -> Outcome<u64> {
        match self.query(name) {
            "" => Ok(default),
            text => text
                .parse()
                .map_err(|_| invalid(format!("Bad Pagination Parameters: {name} is not a number"))),
        }
    }
}

/// Who a per-client limit counts for: the trusted forwarding header, else the first value of the configured one.
pub(crate) fn limit_key(headers: &HeaderMap, settings: &Settings) -> Option<String> {
    if let Some(ip) = forwarded_for(headers, settings) {
        return Some(ip.to_string());
    }
    let name = settings.rate_limits.header.as_deref()?;
    let first = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    if first.is_empty() || first.len() > 64 {
        return None;
    }
    // Whoever has one address of this kind has all with its first half.
    Some(match first.parse::<std::net::Ipv6Addr>() {
        Ok(address) => std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        Err(_) => first.to_owned(),
    })
}

fn forwarded_for(headers: &HeaderMap, settings: &Settings) -> Option<IpAddr> {
    if !settings.sb_forwarded_for {
        return None;
    }
    headers.get("sb-forwarded-for")?.to_str().ok()?.split(',').next()?.trim().parse().ok()
}

fn client_ip(headers: &HeaderMap, settings: &Settings, peer: Option<IpAddr>) -> Option<IpAddr> {
    let proxied = || {
        let list = headers.get("x-forwarded-for")?.to_str().ok()?;
        list.split(',').find_map(|entry| entry.trim().parse().ok())
    };
    forwarded_for(headers, settings).or_else(proxied).or(peer)
}
