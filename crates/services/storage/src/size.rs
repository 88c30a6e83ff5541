//! Sizes as people write them: `10MB`.

use serde_json::Value;

/// Beyond it a float is no whole number any more.
const BYTES_MAX: f64 = 9_007_199_254_740_992.0;

/// Bytes of a limit: a whole number, or a text of a number and b, kb, mb or gb; nothing for none. The units are
/// decimal, as the reference has them. `Err` says what is wrong, in the words of the reference's checker.
pub(crate) fn parse(value: &Value) -> Result<Option<u64>, &'static [&'static str]> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(is) => Ok(Some(u64::from(*is))),
        Value::Number(number) if number.as_i64().is_some_and(|n| n < 0) => Err(&["must be >= 0"]),
        Value::Number(number) => number.as_f64().and_then(whole).map(Some).ok_or(&["must be integer"]),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => {
            let bytes = of_text(text).or_else(|| text.trim().parse().ok().and_then(whole));
            bytes.map(Some).ok_or(&["must be integer", r#"must pass "finite" keyword validation"#])
        }
        Value::Array(_) | Value::Object(_) => Err(&["must be integer"]),
    }
}

/// A number and its unit, without a blank between.
fn of_text(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let factor: f64 = match unit {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return None,
    };
    let digits = number.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let number: f64 = number.parse().ok().filter(|_| digits)?;
    let bytes = number * factor;
    (bytes <= BYTES_MAX).then_some(bytes as u64)
}

fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=BYTES_MAX).contains(&number)).then_some(number as u64)
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
            (json!("20kb"), 20_000),
            (json!("1.5gb"), 1_500_000_000),
            (json!("7"), 7),
            (json!("1e3"), 1000),
            (json!(true), 1),
        ] {
            assert_eq!(parse(&value), Ok(Some(bytes)), "{value}");
        }
        assert_eq!((parse(&json!(null)), parse(&json!(""))), (Ok(None), Ok(None)));
        for bad in
            [json!("20km"), json!("20 kb"), json!(-1), json!(1.5), json!("-1"), json!("inf"), json!("gb")]
        {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
