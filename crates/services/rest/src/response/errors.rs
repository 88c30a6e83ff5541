//! Faults as responses, and what PostgreSQL reports as faults.

use crate::config::{ErrorVerbosity, Settings};
use crate::faults;
use axum::body::Body;
use bytes::Bytes;
use fault::Fault;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use pg::{DbError, Error};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The response that a fault becomes.
pub fn fault_response(fault: &Fault, settings: &Settings) -> Response<Body> {
    response_of(fault, error_body(fault, settings))
}

/// The response that the fault of one operation of a batch becomes.
pub fn batch_fault_response(fault: &Fault, operation: Option<usize>, settings: &Settings) -> Response<Body> {
    let body = match settings.client_error_verbosity {
        ErrorVerbosity::Verbose => fault::rest_batch_body(fault, operation),
        ErrorVerbosity::Minimal => fault::rest_batch_body_minimal(fault, operation),
    };
    response_of(fault, body.into())
}

fn response_of(fault: &Fault, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = fault.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Ok(value) = HeaderValue::try_from(format!("PostgREST; error={}", fault.code)) {
        headers.insert(PROXY_STATUS, value);
    }
    for (name, value) in &fault.headers {
        headers.append(name.clone(), value.clone());
    }
    if fault.status == StatusCode::SERVICE_UNAVAILABLE {
        headers.entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    let reason = fault.reason.clone().map(|reason| hyper::ext::ReasonPhrase::try_from(reason.into_bytes()));
    if let Some(Ok(reason)) = reason {
        response.extensions_mut().insert(reason);
    }
    *response.body_mut() = Body::from(body);
    response
}

/// Puts the names that clients know in place of schemas' physical names, which PostgreSQL's texts may hold.
pub fn show_schemas(fault: &mut Fault, settings: &Settings) {
    for (physical, shown) in &settings.aliases {
        let rename = |text: &str| renamed(text, physical, shown);
        fault.message = rename(&fault.message);
        fault.hint = fault.hint.as_deref().map(rename);
        if let Some(Value::String(details)) = &fault.details {
            fault.details = Some(Value::from(rename(details)));
        }
    }
}

/// A text with the names that clients know.
pub fn shown_text(text: &str, settings: &Settings) -> String {
    let rename = |text: String, (physical, shown): &(String, String)| renamed(&text, physical, shown);
    settings.aliases.iter().fold(text.to_owned(), rename)
}

/// A text with one word for another; longer words that contain it stay.
fn renamed(text: &str, word: &str, with: &str) -> String {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        out.push_str(before);
        let within = part_of_word(out.chars().next_back()) || part_of_word(after.chars().next());
        out.push_str(if within { word } else { with });
        rest = after;
    }
    out + rest
}

/// The body of a fault.
pub fn error_body(fault: &Fault, settings: &Settings) -> Bytes {
    match settings.client_error_verbosity {
        ErrorVerbosity::Verbose => fault::rest_body(fault).into(),
        ErrorVerbosity::Minimal => fault::rest_body_minimal(fault).into(),
    }
}

/// What the client learns of a database error. `authenticated`: the caller is not the anonymous role.
pub fn database_fault(error: &Error, authenticated: bool) -> Fault {
    let fault = match error {
        Error::Db(report) if report.code == "PGRST" => raised(report),
        Error::Db(report) => reported(report, authenticated),
        Error::PoolTimeout => faults::pool_timeout(),
        Error::Connect(_) | Error::Timeout | Error::Config(_) => {
            faults::no_connection(Some(error.to_string()))
        }
        Error::Closed | Error::Io(_) | Error::Protocol(_) => faults::client_error(error.to_string()),
        Error::AnswerTooLarge { .. } => faults::answer_too_large(&error.to_string()),
        Error::Decode(_) => faults::internal("The database's answer could not be read"),
    };
    fault.caused_by(error.to_string())
}

fn reported(report: &DbError, authenticated: bool) -> Fault {
    let (status, reason) = status(report, authenticated);
    let mut fault = Fault::new(status, report.code.clone(), report.message.clone());
    fault.details = report.detail.clone().map(Value::from);
    fault.hint = report.hint.clone();
    fault.reason = reason;
    if status == StatusCode::UNAUTHORIZED {
        fault = fault.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    fault
}

/// The status of a SQLSTATE and, where a function chose one, the reason phrase.
fn status(report: &DbError, authenticated: bool) -> (StatusCode, Option<String>) {
    let message = &report.message;
    let status = match report.code.as_str() {
        "23503" | "23505" => StatusCode::CONFLICT,
        "25006" => StatusCode::METHOD_NOT_ALLOWED,
        "21000" if message.ends_with("requires a WHERE clause") => StatusCode::BAD_REQUEST,
        "21000" => StatusCode::INTERNAL_SERVER_ERROR,
        "22023" if message.starts_with("role") && message.ends_with("does not exist") => {
            StatusCode::UNAUTHORIZED
        }
        "53400" => StatusCode::INTERNAL_SERVER_ERROR,
        "57P01" => StatusCode::SERVICE_UNAVAILABLE,
        "P0001" => StatusCode::BAD_REQUEST,
        "42883" if message.starts_with("function xmlagg(") => StatusCode::NOT_ACCEPTABLE,
        "42883" | "42P01" => StatusCode::NOT_FOUND,
        "42P17" => StatusCode::INTERNAL_SERVER_ERROR,
        "42501" if authenticated => StatusCode::FORBIDDEN,
        "42501" => StatusCode::UNAUTHORIZED,
        code => match code.get(..2) {
            Some("PT") => {
                let chosen = code.get(2..).and_then(|digits| digits.parse().ok()).map(StatusCode::from_u16);
                return match chosen {
                    Some(Ok(status)) => (status, Some(message.clone())),
                    _ => (StatusCode::INTERNAL_SERVER_ERROR, None),
                };
            }
            Some("08" | "53") => StatusCode::SERVICE_UNAVAILABLE,
            Some("0L" | "0P" | "28") => StatusCode::FORBIDDEN,
            Some(
                "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58" | "F0" | "HV"
                | "P0" | "XX",
            ) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        },
    };
    (status, None)
}

/// The MESSAGE of `RAISE SQLSTATE 'PGRST'`.
#[derive(Deserialize)]
struct RaisedMessage {
    code: String,
    message: String,
    details: Option<String>,
    hint: Option<String>,
}

/// Its DETAIL.
#[derive(Deserialize)]
struct RaisedDetail {
    status: u16,
    status_text: Option<String>,
    headers: BTreeMap<String, String>,
}

const MESSAGE_HINT: &str = "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.";
const DETAIL_HINT: &str =
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.";

/// A function decided about the whole response.
fn raised(report: &DbError) -> Fault {
    let Ok(message) = serde_json::from_str::<RaisedMessage>(&report.message) else {
        return faults::bad_raise(
            format!("Invalid JSON value for MESSAGE: '{}'", report.message),
            MESSAGE_HINT,
        );
    };
    let Some(detail) = &report.detail else {
        return faults::bad_raise("DETAIL is missing in the RAISE statement".to_owned(), DETAIL_HINT);
    };
    let parsed = serde_json::from_str::<RaisedDetail>(detail).ok();
    let status = parsed.as_ref().and_then(|parsed| StatusCode::from_u16(parsed.status).ok());
    let (Some(parsed), Some(status)) = (parsed, status) else {
        return faults::bad_raise(format!("Invalid JSON value for DETAIL: '{detail}'"), DETAIL_HINT);
    };
    let mut fault = Fault::new(status, message.code, message.message);
    fault.details = message.details.map(Value::from);
    fault.hint = message.hint;
    fault.reason = parsed.status_text;
    for (name, value) in parsed.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::try_from(value))
        {
            fault = fault.with_header(name, value);
        }
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn physical_names_of_schemas_do_not_show() {
        let text = "function app_5.f() of app_57.t, \"app_5\".x, xapp_5, app_5";
        assert_eq!(
            renamed(text, "app_5", "public"),
            "function public.f() of app_57.t, \"public\".x, xapp_5, public"
        );
    }

    #[test]
    fn states_have_their_statuses() {
        let check = |code: &str, message: &str, authenticated| {
            let report = DbError { code: code.into(), message: message.into(), ..DbError::default() };
            let fault = database_fault(&Error::Db(Box::new(report)), authenticated);
            (fault.status.as_u16(), fault.reason.unwrap_or_default())
        };
        let plain = |code: &str| check(code, "", true).0;
        let seen: Vec<u16> = [
            "08006", "23505", "25006", "22P02", "42P01", "42501", "P0001", "P0002", "XX000", "53300", "PTabc",
        ]
        .map(plain)
        .to_vec();
        assert_eq!(seen, [503, 409, 405, 400, 404, 403, 400, 500, 500, 503, 500]);
        assert_eq!(check("42501", "", false).0, 401);
        assert_eq!(check("22023", "role \"x\" does not exist", true).0, 401);
        assert_eq!(check("PT402", "Pay", true), (402, "Pay".into()));
    }
}
