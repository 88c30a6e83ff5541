//! The question: for whom a request is to be explained.

use crate::faults;
use fault::Fault;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{Bound, Caller};
use serde_json::{Map, Value};

/// The media type that asks, and the answer's.
pub const EXPLANATION: &str = "application/vnd.rowhouse.explain+json";

const CLAIMS: HeaderName = HeaderName::from_static("x-rowhouse-claims");
const SETTINGS: HeaderName = HeaderName::from_static("x-rowhouse-settings");
/// A token whose bearer is examined.
pub const TOKEN: HeaderName = HeaderName::from_static("x-rowhouse-token");

/// Who is examined, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The role named; without one it is the token's, or the anonymous one.
    role: Option<String>,
    claims: Map<String, Value>,
    /// What a key would bind the request to.
    pub bound: Bound,
    /// Whether writes are carried out, to be rolled back.
    pub runs_writes: bool,
    /// What the examined request accepts.
    accept: Option<String>,
}

/// Whether an explanation is wanted.
pub fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|text| text.split(',').any(is_ours))
}

fn is_ours(item: &str) -> bool {
    item.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(EXPLANATION))
}

impl Asked {
    /// Reads the question from a request's headers.
    ///
    /// # Errors
    /// Claims or settings that cannot be such.
    pub fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (ours, others): (Vec<&str>, Vec<&str>) = accept.split(',').partition(|item| is_ours(item));
        let (mut role, mut runs_writes) = (None, false);
        for (name, value) in
            ours.first().map_or("", |item| item).split(';').filter_map(|part| part.split_once('='))
        {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => role = Some(value.to_owned()),
                "options" => runs_writes = value.split('|').any(|option| option == "run"),
                _ => {}
            }
        }
        let mut settings = Vec::new();
        for (name, value) in object(headers, &SETTINGS)? {
            let Value::String(value) = value else {
                return Err(faults::explain_header(SETTINGS.as_str(), "its values must be texts"));
            };
            settings.push((name, value));
        }
        let bound = Bound::new(settings, Map::new())
            .map_err(|error| faults::explain_header(SETTINGS.as_str(), &error.to_string()))?;
        let accept = (!others.is_empty()).then(|| others.join(","));
        Ok(Asked { role, claims: object(headers, &CLAIMS)?, bound, runs_writes, accept })
    }

    /// Who is examined. `bearer` is the caller that a token stands for.
    pub fn caller(&self, bearer: Option<Caller>, anonymous: &str) -> Caller {
        let role = match (&self.role, &bearer) {
            (Some(role), _) => role.as_str(),
            (None, Some(bearer)) => &bearer.role,
            (None, None) => anonymous,
        };
        let said = bearer.as_ref().map_or("{}", |bearer| &bearer.claims);
        let mut claims: Map<String, Value> = serde_json::from_str(said).unwrap_or_default();
        claims.insert("role".to_owned(), Value::from(role));
        claims.extend(self.claims.clone());
        Caller { role: role.into(), claims: Value::Object(claims).to_string().into() }
    }

    /// The headers of the examined request.
    pub fn headers(&self, asked: &HeaderMap) -> HeaderMap {
        let mut headers = asked.clone();
        for name in
            [http::header::AUTHORIZATION, HeaderName::from_static("apikey"), ACCEPT, CLAIMS, SETTINGS, TOKEN]
        {
            headers.remove(name);
        }
        if let Some(accept) = self.accept.as_ref().and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(ACCEPT, accept);
        }
        headers
    }
}

fn object(headers: &HeaderMap, name: &HeaderName) -> Result<Map<String, Value>, Fault> {
    let Some(value) = headers.get(name) else { return Ok(Map::new()) };
    let not_json = |_| faults::explain_header(name.as_str(), "it must be a JSON object");
    serde_json::from_slice(value.as_bytes()).map_err(not_json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_question_is_in_the_headers() {
        let all = headers(&[
            ("accept", "text/csv, Application/Vnd.Rowhouse.Explain+JSON; for=\"authenticated\"; options=run"),
            ("x-rowhouse-claims", r#"{"sub":"u","role":"authenticated"}"#),
            ("x-rowhouse-settings", r#"{"app.tenant_id":"7"}"#),
            ("authorization", "Bearer x"),
            ("apikey", "y"),
            ("x-other", "z"),
        ]);
        assert!(is_asked(&all) && !is_asked(&headers(&[("accept", "application/json")])));
        let asked = Asked::of(&all).unwrap();
        assert!(asked.runs_writes);
        assert_eq!(asked.bound.value("app.tenant_id"), Some("7"));
        let caller = asked.caller(None, "anon");
        assert_eq!(
            (&*caller.role, &*caller.claims),
            ("authenticated", r#"{"role":"authenticated","sub":"u"}"#)
        );
        assert_eq!(asked.headers(&all), headers(&[("x-other", "z"), ("accept", "text/csv")]));
    }

    #[test]
    fn a_token_says_what_is_not_said_otherwise() {
        let bearer =
            Caller { role: "authenticated".into(), claims: json!({ "sub": "u", "a": 1 }).to_string().into() };
        let plain = Asked::of(&headers(&[("accept", EXPLANATION)])).unwrap();
        assert_eq!(&*plain.caller(Some(bearer.clone()), "anon").role, "authenticated");
        assert_eq!(&*plain.caller(None, "anon").role, "anon");
        let other =
            Asked::of(&headers(&[("accept", EXPLANATION), ("x-rowhouse-claims", r#"{"a":2}"#)])).unwrap();
        assert_eq!(
            &*other.caller(Some(bearer), "anon").claims,
            r#"{"sub":"u","a":2,"role":"authenticated"}"#
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for pair in [
            ("x-rowhouse-claims", "x"),
            ("x-rowhouse-claims", "[]"),
            ("x-rowhouse-settings", r#"{"role":"x"}"#),
            ("x-rowhouse-settings", r#"{"app.x":1}"#),
        ] {
            assert!(Asked::of(&headers(&[pair])).is_err(), "{pair:?}");
        }
    }
}
