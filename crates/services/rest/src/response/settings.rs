//! What a transaction asks of its response through `response.status` and `response.headers`.

use crate::faults;
use fault::Fault;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// Applies `response.status`.
pub fn override_status(status: &mut StatusCode, setting: Option<&str>) -> Result<(), Fault> {
    let Some(text) = setting else { return Ok(()) };
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number = digits.parse().map_err(|_| faults::bad_status_setting())?;
    *status = StatusCode::from_u16(number).map_err(|_| faults::bad_status_setting())?;
    Ok(())
}

/// Applies `response.headers`: they replace headers of the same name, and may repeat themselves.
pub fn override_headers(headers: &mut HeaderMap, setting: Option<&str>) -> Result<(), Fault> {
    let Some(text) = setting else { return Ok(()) };
    let bad = || faults::bad_headers_setting();
    let list: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(text).map_err(|_| bad())?;
    let mut pairs = Vec::new();
    for object in list {
        let mut entries = object.into_iter();
        let (Some((name, serde_json::Value::String(value))), None) = (entries.next(), entries.next()) else {
            return Err(bad());
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        pairs.push((name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?));
    }
    for (name, _) in &pairs {
        headers.remove(name);
    }
    for (name, value) in pairs {
        headers.append(name, value);
    }
    Ok(())
}
