//! What the fuzz targets share: a small schema, a request's way to its statement, and what every statement must
//! be, whatever the request said.

mod schema;
mod text;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rest::config::Settings;
use rest::schema::SchemaCache;
use std::sync::LazyLock;

static CACHE: LazyLock<SchemaCache> = LazyLock::new(schema::cache);
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings {
    db_schemas: vec!["s".to_owned(), "other".to_owned()],
    db_aggregates_enabled: true,
    db_plan_enabled: true,
    ..Settings::default()
});

/// A parameter's value as it is written in a query string.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Takes a request as far as its statement, which must be one statement with nothing left open.
pub fn request(method: &str, path: &str, query: &str, headers: &[(&'static str, &[u8])], body: &[u8]) {
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        map.append(HeaderName::from_static(name), value);
    }
    let body = Bytes::copy_from_slice(body);
    if let Ok(Some(text)) = rest::fuzzing::statement((&method, path, query), &map, body, &CACHE, &SETTINGS) {
        text::check(&text);
    }
}
