//! OAuth 1.0a (RFC 5849) with HMAC-SHA1, which the old interface of Twitter speaks.
//!
//! The secret of the request token waits beside the flow, so that nobody ends a sign-in with another's token.

use super::entries::Says;
use super::exchange::LIMITS;
use super::{Failure, Provider};
use crate::external::Profile;
use crate::moment::Moment;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use outbound::Client;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

/// All but letters, digits, `-`, `.`, `_` and `~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PROFILE: &str = "/1.1/account/verify_credentials.json";

/// A token and the secret that belongs to it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) token: String,
    pub(crate) secret: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair(…)")
    }
}

impl Pair {
    /// The text that waits beside the flow.
    pub(crate) fn to_text(&self) -> String {
        format!("{} {}", self.token, self.secret)
    }

    pub(crate) fn from_text(text: &str) -> Option<Pair> {
        let (token, secret) = text.split_once(' ')?;
        Some(Pair { token: token.to_owned(), secret: secret.to_owned() })
    }
}

/// Asks for a request token; people go where the second text says.
pub(crate) async fn begin(
    client: &Client,
    provider: &Provider,
    state: &str,
    now: Moment,
) -> Result<(Pair, String), Failure> {
    let separator = if provider.redirect_uri.contains('?') { '&' } else { '?' };
    let callback = format!("{}{separator}state={state}", provider.redirect_uri);
    let url = format!("{}/oauth/request_token", provider.api);
    let call = Call { method: "POST", url: &url, query: &[], more: &[("oauth_callback", &callback)] };
    let pair = call.pair(client, provider, &Pair::default(), now).await?;
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("oauth_token", &pair.token).finish();
    Ok((pair, format!("{}?{query}", provider.authorize_url)))
}

/// Turns a confirmed request token into an access token and asks who it is of.
pub(crate) async fn end(
    client: &Client,
    provider: &Provider,
    request: &Pair,
    verifier: &str,
    now: Moment,
) -> Result<(String, Profile), Failure> {
    let more = [("oauth_verifier", verifier)];
    let call = Call { method: "POST", url: &provider.token_url, query: &[], more: &more };
    let access = call.pair(client, provider, request, now).await?;
    let page = format!("{}{PROFILE}", provider.api);
    let query = [("include_email", "true"), ("include_entities", "false"), ("skip_status", "true")];
    let call = Call { method: "GET", url: &page, query: &query, more: &[] };
    let body = call.send(client, provider, &access, now).await?;
    let user = serde_json::from_slice(&body).map_err(|_| Failure::new("a page is not JSON"))?;
    let Some(Says::OAuth1(read)) = provider.says() else {
        return Err(Failure::new("the provider does not speak OAuth 1"));
    };
    let profile = read(&page, &[user]).ok_or_else(|| Failure::new("a page says nothing"))?;
    Ok((access.token, profile))
}

/// A call to be signed.
struct Call<'a> {
    method: &'static str,
    url: &'a str,
    query: &'a [(&'a str, &'a str)],
    /// Parameters of the protocol besides the usual ones.
    more: &'a [(&'a str, &'a str)],
}

impl Call<'_> {
    async fn pair(&self, client: &Client, by: &Provider, with: &Pair, now: Moment) -> Result<Pair, Failure> {
        let body = self.send(client, by, with, now).await?;
        let mut pair = Pair::default();
        for (key, value) in form_urlencoded::parse(&body) {
            match &*key {
                "oauth_token" => pair.token = value.into_owned(),
                "oauth_token_secret" => pair.secret = value.into_owned(),
                _ => {}
            }
        }
        if pair.token.is_empty() || pair.token.contains(' ') {
            return Err(Failure::new("no token was given"));
        }
        Ok(pair)
    }

    async fn send(&self, client: &Client, by: &Provider, with: &Pair, now: Moment) -> Result<Bytes, Failure> {
        let nonce = hex::encode(token::random_bytes::<16>());
        let header = self.header(&by.client_id, by.secret.expose(), with, &nonce, now.unix());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(self.query).finish();
        let url = if query.is_empty() { self.url.to_owned() } else { format!("{}?{query}", self.url) };
        let mut header =
            HeaderValue::from_str(&header).map_err(|_| Failure::new("the token cannot stand in a header"))?;
        header.set_sensitive(true);
        let request = Request::builder().method(self.method).uri(url).header(header::AUTHORIZATION, header);
        let request = request.body(Bytes::new()).map_err(|_| Failure::new("the address is malformed"))?;
        let answer = client.send(request, LIMITS).await?;
        if !answer.status().is_success() {
            return Err(Failure::new(format!("a signed call was answered with {}", answer.status())));
        }
        Ok(answer.into_body())
    }

    /// The `Authorization` header with the signature.
    fn header(&self, key: &str, secret: &str, with: &Pair, nonce: &str, time: i64) -> String {
        let time = time.to_string();
        let mut own = vec![
            ("oauth_consumer_key", key),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &time),
            ("oauth_version", "1.0"),
        ];
        if !with.token.is_empty() {
            own.push(("oauth_token", &with.token));
        }
        own.extend_from_slice(self.more);
        let signature = self.signature(&own, secret, &with.secret);
        own.push(("oauth_signature", &signature));
        own.sort_unstable();
        let list: Vec<String> =
            own.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        format!("OAuth {}", list.join(", "))
    }

    fn signature(&self, own: &[(&str, &str)], secret: &str, token_secret: &str) -> String {
        let mut pairs: Vec<(String, String)> =
            own.iter().chain(self.query).map(|(name, value)| (escape(name), escape(value))).collect();
        pairs.sort_unstable();
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let base = format!("{}&{}&{}", self.method, escape(self.url), escape(&pairs.join("&")));
        let key = format!("{}&{}", escape(secret), escape(token_secret));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        B64.encode(hmac::sign(&key, base.as_bytes()))
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        // OAuth Core 1.0, appendix A.5.
        let query = [("file", "vacation.jpg"), ("size", "original")];
        let call = Call { method: "GET", url: "http://photos.example.net/photos", query: &query, more: &[] };
        let with = Pair { token: "nnch734d00sl2jdk".to_owned(), secret: "pfkkdhi9sl3r4s00".to_owned() };
        let header =
            call.header("dpf43f3p2l4k3l03", "kd94hf93k423kf44", &with, "kllo9940pd9333jh", 1_191_242_096);
        assert!(header.contains("oauth_signature=\"tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D\""), "{header}");
    }

    #[test]
    fn pairs_survive_being_written_down() {
        let pair = Pair { token: "t".to_owned(), secret: "s".to_owned() };
        assert_eq!(Pair::from_text(&pair.to_text()), Some(pair));
        assert_eq!(Pair::from_text("t"), None);
    }
}
