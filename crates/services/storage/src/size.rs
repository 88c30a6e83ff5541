//! Sizes as people write them: `10MB`.

use serde_json::Value;

/// Bytes of a limit: a whole number, or a text of a number and b, kb, mb or gb. The units are decimal, as the
/// reference has them; `Err` says what was meant to be a size.
pub(crate) fn parse(value: &Value) -> Result<u64, String> {
    match value {
        Value::Number(number) => number.as_u64().ok_or_else(|| number.to_string()),
        Value::String(text) => of_text(text).ok_or_else(|| text.clone()),
        other => Err(other.to_string()),
    }
}

fn of_text(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor: f64 = match unit {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let bytes = number * factor;
    // Beyond it a float is no whole number any more.
    (bytes <= 9_007_199_254_740_992.0).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes() {
        for (value, bytes) in [
            (json!(0), 0),
            (json!(1024), 1024),
            (json!("1MB"), 1_000_000),
            (json!("20 kb"), 20_000),
            (json!("1.5gb"), 1_500_000_000),
            (json!("7"), 7),
        ] {
            assert_eq!(parse(&value), Ok(bytes), "{value}");
        }
        for bad in [json!("20km"), json!(-1), json!(1.5), json!("-1"), json!("inf"), json!(true), json!("")] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
