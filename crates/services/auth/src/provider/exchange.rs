//! Talking to a provider: a code for tokens, and pages with a token.

use super::{ClientAuth, Failure, Provider};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use outbound::{Client, Limits};
use serde_json::{Map, Value};
use std::time::Duration;

/// What one call may take.
pub(super) const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), body: 1 << 20 };

/// What a provider gives for a code.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    /// Empty when there is none.
    pub(crate) refresh: String,
    pub(super) id: String,
    /// The whole answer.
    pub(super) whole: Value,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// Whether an address can be called: `https`, or `http` too where that will do.
pub(super) fn is_http(url: &str, secure: bool) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let scheme = uri.scheme_str().unwrap_or_default();
    uri.host().is_some_and(|host| !host.is_empty()) && (scheme == "https" || (scheme == "http" && !secure))
}

/// A page of JSON, with its headers.
pub(super) async fn fetch(
    client: &Client,
    url: &str,
    headers: &HeaderMap,
) -> Result<(Value, HeaderMap), Failure> {
    let mut request =
        Request::get(url).body(Bytes::new()).map_err(|_| Failure::new("the address is malformed"))?;
    request.headers_mut().clone_from(headers);
    request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    let answer = client.send(request, LIMITS).await?;
    if !answer.status().is_success() {
        return Err(Failure::new(format!("a page was answered with {}", answer.status())));
    }
    let (parts, body) = answer.into_parts();
    let value = serde_json::from_slice(&body).map_err(|_| Failure::new("a page is not JSON"))?;
    Ok((value, parts.headers))
}

/// `Authorization: Bearer`.
pub(super) fn bearer(token: &str) -> Result<HeaderMap, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::new("the access token cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// Turns a code into tokens. Providers differ in how they want to know the client, so a refusal of the first way
/// is followed by the other.
pub(crate) async fn exchange(
    client: &Client,
    provider: &Provider,
    code: &str,
    verifier: Option<&str>,
) -> Result<Tokens, Failure> {
    let ways = match provider.client_auth {
        ClientAuth::Header => [ClientAuth::Header, ClientAuth::Params],
        ClientAuth::Params => [ClientAuth::Params, ClientAuth::Header],
    };
    let mut refused = None;
    for way in ways {
        let answer = client.send(request(provider, code, verifier, way)?, LIMITS).await?;
        let (status, tokens) = read(&answer);
        match tokens {
            Some(tokens) => return Ok(tokens),
            // Nobody needs to hear a second time that they are broken or busy.
            None if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::new(format!("the code was answered with {status}")));
            }
            None => refused.get_or_insert((status, error(&answer))),
        };
    }
    let (status, error) = refused.unwrap_or_default();
    Err(Failure::new(format!("the code was answered with {status} {error}")))
}

fn request(
    provider: &Provider,
    code: &str,
    verifier: Option<&str>,
    way: ClientAuth,
) -> Result<Request<Bytes>, Failure> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code");
    form.append_pair("code", code);
    form.append_pair("redirect_uri", &provider.redirect_uri);
    if let Some(verifier) = verifier {
        form.append_pair("code_verifier", verifier);
    }
    let mut request = Request::post(&provider.token_url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json");
    match way {
        ClientAuth::Header => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&provider.client_id), encode(provider.secret.expose()));
            let mut value = HeaderValue::from_str(&format!("Basic {}", B64.encode(pair)))
                .map_err(|_| Failure::new("the client cannot stand in a header"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        ClientAuth::Params => {
            form.append_pair("client_id", &provider.client_id);
            form.append_pair("client_secret", provider.secret.expose());
        }
    }
    request.body(Bytes::from(form.finish())).map_err(|_| Failure::new("the address is malformed"))
}

/// An answer's fields: JSON, or a form as some still send.
fn fields(answer: &http::Response<Bytes>) -> Map<String, Value> {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if let Ok(object) = serde_json::from_slice(answer.body()) {
        return object;
    }
    if !kind.starts_with("application/x-www-form-urlencoded") && !kind.starts_with("text/plain") {
        return Map::new();
    }
    let pairs = form_urlencoded::parse(answer.body());
    pairs.map(|(key, value)| (key.into_owned(), Value::from(value.into_owned()))).collect()
}

fn read(answer: &http::Response<Bytes>) -> (StatusCode, Option<Tokens>) {
    let status = answer.status();
    if !status.is_success() {
        return (status, None);
    }
    let fields = fields(answer);
    let say = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tokens = Tokens {
        access: say("access_token"),
        refresh: say("refresh_token"),
        id: say("id_token"),
        whole: Value::Object(fields.clone()),
    };
    (status, (!tokens.access.is_empty()).then_some(tokens))
}

/// The code of a refusal, if it looks like one.
fn error(answer: &http::Response<Bytes>) -> String {
    let fields = fields(answer);
    let code = fields.get("error").and_then(Value::as_str).unwrap_or_default();
    let is_code =
        code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_code { code.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: &str, status: u16, body: &'static str) -> http::Response<Bytes> {
        http::Response::builder().status(status).header(CONTENT_TYPE, kind).body(Bytes::from(body)).unwrap()
    }

    #[test]
    fn tokens_come_as_json_or_as_a_form() {
        let json =
            answer("application/json", 200, r#"{"access_token":"a","refresh_token":"r","expires_in":1}"#);
        let tokens = read(&json).1.unwrap();
        assert_eq!((tokens.access.as_str(), tokens.refresh.as_str()), ("a", "r"));
        let form =
            answer("application/x-www-form-urlencoded; charset=utf-8", 200, "access_token=a%20b&scope=x");
        assert_eq!(read(&form).1.unwrap().access, "a b");
        for (kind, status, body) in [
            ("application/json", 200, r#"{"error":"bad_verification_code"}"#),
            ("application/json", 400, r#"{"access_token":"a"}"#),
            ("text/html", 200, "access_token=a"),
            ("application/json", 200, "[]"),
        ] {
            assert!(read(&answer(kind, status, body)).1.is_none(), "{body}");
        }
    }

    #[test]
    fn errors_repeat_codes_only() {
        assert_eq!(error(&answer("application/json", 400, r#"{"error":"invalid_grant"}"#)), "invalid_grant");
        assert_eq!(error(&answer("application/json", 400, r#"{"error":"the secret is hunter2"}"#)), "");
    }

    #[test]
    fn only_web_addresses_are_called() {
        assert!(is_http("https://x.dev/a", true) && is_http("http://x.dev", false));
        for url in ["http://x.dev/", "/a", "ftp://x.dev", "https://", "", "file:///etc/passwd"] {
            assert!(!is_http(url, true), "{url}");
        }
    }
}
