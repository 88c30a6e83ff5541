//! Default values: JSON, or text as a form sends it, checked against the column's type and made SQL.

use super::model::ColumnType;
use serde_json::Value;
use sql::quote_literal;

/// The SQL of a default.
///
/// # Errors
/// What would have been acceptable.
pub(super) fn default_sql(kind: ColumnType, value: &Value) -> Result<String, &'static str> {
    if let (Some(name), true) = (setting(value), kind.may_be_a_setting()) {
        return Ok(setting_sql(kind, name));
    }
    match kind {
        ColumnType::Text => match value {
            Value::String(text) if !text.contains('\0') => Ok(quote_literal(text)),
            Value::Number(number) => Ok(quote_literal(&number.to_string())),
            Value::Bool(flag) => Ok(quote_literal(&flag.to_string())),
            _ => Err("a text"),
        },
        ColumnType::Number | ColumnType::Decimal => {
            number_text(value).filter(|t| is_decimal(t)).ok_or("a number")
        }
        ColumnType::Integer => {
            let whole = number_text(value).filter(|t| t.parse::<i64>().is_ok());
            whole.ok_or("a whole number of at most 64 bits")
        }
        ColumnType::Boolean => match value {
            Value::Bool(flag) => Ok(flag.to_string()),
            Value::String(text) if matches!(text.as_str(), "true" | "false") => Ok(text.clone()),
            _ => Err("true or false"),
        },
        ColumnType::Date => match value.as_str() {
            Some("now" | "now()" | "today" | "current_date") => Ok("current_date".to_owned()),
            Some(text) if is_date(text) => Ok(quote_literal(text)),
            _ => Err("a date as YYYY-MM-DD, or now"),
        },
        ColumnType::Datetime | ColumnType::Timestamp => match value.as_str() {
            Some("now" | "now()" | "current_timestamp") => Ok("now()".to_owned()),
            Some(text) if is_datetime(text) => Ok(quote_literal(text)),
            _ => Err("a time as YYYY-MM-DDThh:mm:ss with Z or an offset, or now"),
        },
        ColumnType::Uuid => match value.as_str() {
            Some("gen_random_uuid()" | "uuid_generate_v4()") => Ok("gen_random_uuid()".to_owned()),
            Some(text) if is_uuid(text) => Ok(quote_literal(text)),
            _ => Err("a UUID, or gen_random_uuid()"),
        },
        ColumnType::Json => json_sql(value),
    }
}

/// `{"setting": "app.tenant_id"}`: the setting of the request's API key.
fn setting(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get("setting")?.as_str().filter(|name| model::check_setting_name(name).is_ok())
}

/// A setting's value; null when a request has none.
pub(super) fn setting_sql(kind: ColumnType, name: &str) -> String {
    format!("nullif(current_setting({}, true), '')::{}", quote_literal(name), kind.sql())
}

/// A text that is JSON itself is taken as that JSON, which is how a form sends an object.
fn json_sql(value: &Value) -> Result<String, &'static str> {
    let parsed = match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    };
    let text = parsed.to_string();
    if text.contains("\\u0000") { Err("JSON without the character 0") } else { Ok(quote_literal(&text)) }
}

fn number_text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// Sign, digits, point, digits, exponent: what is a number in SQL as it stands.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let small_exponent = digits(exponent) && exponent.len() <= 3;
    digits(whole) && digits(fraction) && small_exponent && text.len() <= 100
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|g| g.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|g| g.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A number of exactly `digits` digits.
fn fixed(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let (Some(year), Some(month), Some(day)) = (fixed(year, 4), fixed(month, 2), fixed(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

fn is_datetime(text: &str) -> bool {
    if !text.is_ascii() || text.len() < 16 {
        return false;
    }
    let (date, rest) = text.split_at(10);
    let Some(rest) = rest.strip_prefix(['T', ' ']) else { return false };
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    is_date(date) && is_time(time) && is_zone(zone)
}

fn is_time(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (*hour, *minute, "00"),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return false,
    };
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    let below = |text: &str, max: u32| fixed(text, 2).is_some_and(|n| n < max);
    let fraction_fits = (1..=6).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    below(hour, 24) && below(minute, 60) && below(second, 60) && fraction_fits
}

fn is_zone(text: &str) -> bool {
    match text.strip_prefix(['+', '-']) {
        Some(offset) => {
            let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "00"));
            fixed(hours, 2).is_some_and(|h| h < 15) && fixed(minutes, 2).is_some_and(|m| m < 60)
        }
        None => text == "Z",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(kind: ColumnType, good: &[(Value, &str)], bad: &[Value]) {
        for (value, wanted) in good {
            assert_eq!(default_sql(kind, value).as_deref(), Ok(*wanted), "{kind:?} {value}");
        }
        for value in bad {
            assert!(default_sql(kind, value).is_err(), "{kind:?} {value}");
        }
    }

    #[test]
    fn defaults_become_sql_of_their_type_and_nothing_else() {
        check(
            ColumnType::Text,
            &[(json!("it's"), "'it''s'"), (json!(5), "'5'")],
            &[json!({}), json!([]), json!("\0")],
        );
        let number = [(json!(1.5), "1.5"), (json!("-12"), "-12"), (json!("1e3"), "1e3")];
        check(
            ColumnType::Decimal,
            &number,
            &[json!("1;"), json!("NaN"), json!("."), json!("1e99999"), json!(true)],
        );
        check(
            ColumnType::Integer,
            &[(json!("7"), "7"), (json!(-7), "-7")],
            &[json!(1.5), json!("9e1"), json!("99999999999999999999")],
        );
        check(
            ColumnType::Boolean,
            &[(json!(true), "true"), (json!("false"), "false")],
            &[json!("yes"), json!(1)],
        );
        let date = [(json!("2024-02-29"), "'2024-02-29'"), (json!("now"), "current_date")];
        check(
            ColumnType::Date,
            &date,
            &[json!("2023-02-29"), json!("2024-13-01"), json!("24-1-1"), json!("x")],
        );
        let time = [(json!("2024-01-01T10:00:00Z"), "'2024-01-01T10:00:00Z'"), (json!("now()"), "now()")];
        let bad = [
            json!("2024-01-01"),
            json!("2024-01-01T25:00:00Z"),
            json!("2024-01-01T10:00:00"),
            json!("2024-01-01T10:00:00+99"),
        ];
        check(ColumnType::Datetime, &time, &bad);
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        check(ColumnType::Uuid, &[(json!(uuid), &format!("'{uuid}'"))], &[json!("123"), json!(1)]);
        let object = [(json!({"a": 1}), "'{\"a\":1}'"), (json!("[1]"), "'[1]'"), (json!("x"), "'\"x\"'")];
        check(ColumnType::Json, &object, &[json!("\0")]);
    }
}
