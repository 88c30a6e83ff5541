//! What a transaction is told about the request: role, claims, headers and settings, by one statement.

use super::Context;
use http::{HeaderMap, HeaderValue};
use sql::Fragment;
use std::borrow::Cow;
use std::fmt::Write;

/// The statement that tells the transaction who is asking for what.
pub(super) fn transaction_settings(
    context: Context,
    hoisted: &[(Box<str>, Box<str>)],
    read_only: bool,
) -> Fragment {
    let Context { settings, caller, incoming, .. } = context;
    let mut f = Fragment::with_capacity(1024, 16);
    f.push("select set_config('search_path', ").bind(search_path(context)).push(", true)");
    if read_only {
        f.push(", set_config('transaction_read_only', 'on', true)");
    }
    let dynamic = |f: &mut Fragment, name: &str, value: &str| {
        f.push(", set_config(").bind(name.to_owned()).push(", ").bind(value.to_owned()).push(", true)");
    };
    // Before the role: the login role may be allowed to set what the role is not.
    for (name, value) in context.role_settings().map_or(&[][..], |role| &role.settings) {
        dynamic(&mut f, name, value);
    }
    f.push(", set_config('role', ").bind(caller.role.to_string()).push(", true)");
    f.push(", set_config('request.jwt.claims', ").bind(caller.claims.to_string()).push(", true)");
    f.push(", set_config('request.method', ").bind(incoming.method.as_str().to_owned()).push(", true)");
    f.push(", set_config('request.path', ").bind(incoming.path.to_owned()).push(", true)");
    f.push(", set_config('request.headers', ").bind(headers_json(incoming.headers)).push(", true)");
    f.push(", set_config('request.cookies', ").bind(cookies_json(incoming.headers)).push(", true)");
    if let Some(zone) = &context.prefer.timezone {
        f.push(", set_config('timezone', ").bind(zone.clone()).push(", true)");
    }
    for (name, value) in hoisted {
        dynamic(&mut f, name, value);
    }
    for (name, value) in &settings.app_settings {
        dynamic(&mut f, name, value);
    }
    // Over all that is the project's own, under what keeps projects apart.
    if let Some(bound) = context.bound {
        for name in bound.missing() {
            dynamic(&mut f, name, "");
        }
        for (name, value) in bound.settings() {
            dynamic(&mut f, name, value);
        }
    }
    for (name, value) in &settings.extra_settings {
        dynamic(&mut f, name, value);
    }
    f
}

/// The settings and claims of the request's API key once more: the pre-request function may have changed them.
pub(super) fn bound_again(context: Context) -> Option<Fragment> {
    let bound = context.bound.filter(|_| context.settings.db_pre_request.is_some())?;
    let claims = (!bound.claims().is_empty()).then_some(("request.jwt.claims", &*context.caller.claims));
    let settings = bound.settings().iter().map(|(name, value)| (&**name, &**value));
    let mut pairs = claims.into_iter().chain(settings).peekable();
    pairs.peek()?;
    let mut f = Fragment::new();
    f.push("select ");
    let set = |f: &mut Fragment, (name, value): (&str, &str)| {
        f.push("set_config(").bind(name.to_owned()).push(", ").bind(value.to_owned()).push(", true)");
    };
    f.join(", ", pairs, set);
    Some(f)
}

fn search_path(context: Context) -> String {
    let mut path = sql::quote_ident(context.schema);
    for schema in &context.settings.db_extra_search_path {
        path.push_str(", ");
        path.push_str(&sql::quote_ident(schema));
    }
    path
}

/// The headers as a JSON object, without the cookies. Of a repeated header PostgreSQL takes the last.
fn headers_json(headers: &HeaderMap) -> String {
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 6).sum();
    let mut json = String::with_capacity(length + 16);
    for (name, value) in headers {
        if name != http::header::COOKIE {
            add_pair(&mut json, name.as_str(), &text(value));
        }
    }
    close_object(json)
}

fn cookies_json(headers: &HeaderMap) -> String {
    let mut json = String::new();
    for header in headers.get_all(http::header::COOKIE) {
        for cookie in text(header).split(';') {
            let (name, value) = cookie.trim().split_once('=').unwrap_or((cookie.trim(), ""));
            if !name.is_empty() {
                add_pair(&mut json, name, value);
            }
        }
    }
    close_object(json)
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    // Tried first because it is many times as fast as the way that can mend.
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value.as_bytes()),
    }
}

/// Adds a pair of texts to an object whose end is not written yet.
fn add_pair(json: &mut String, name: &str, value: &str) {
    json.push(if json.is_empty() { '{' } else { ',' });
    add_text(json, name);
    json.push(':');
    add_text(json, value);
}

/// Adds a text in quotes. Tokens make these long, so what needs no escape is copied in runs.
fn add_text(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        // What needs an escape is one byte long, so both cuts are between characters.
        let (run, after) = rest.split_at(at);
        json.push_str(run);
        match after.as_bytes()[0] {
            byte @ (b'"' | b'\\') => json.extend(['\\', char::from(byte)]),
            byte => {
                let _ = write!(json, "\\u{byte:04x}");
            }
        }
        rest = &after[1..];
    }
    json.push_str(rest);
    json.push('"');
}

fn close_object(mut json: String) -> String {
    if json.is_empty() {
        json.push('{');
    }
    json.push('}');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_cookies_become_json() {
        let mut headers = HeaderMap::new();
        assert_eq!(headers_json(&headers), "{}");
        assert_eq!(cookies_json(&headers), "{}");
        headers.insert("x-a", HeaderValue::from_bytes("q\"\\\té".as_bytes()).unwrap());
        headers.insert("cookie", HeaderValue::from_static("a=b; c=d=\"e\"; f"));
        assert_eq!(headers_json(&headers), r#"{"x-a":"q\"\\\u0009é"}"#);
        assert_eq!(cookies_json(&headers), r#"{"a":"b","c":"d=\"e\"","f":""}"#);
        for json in [headers_json(&headers), cookies_json(&headers)] {
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
    }
}
