//! For how long a user is banned: durations as Go writes them.

use crate::refusal::{Outcome, invalid};
use std::time::Duration;

/// `none` (no ban: nothing) or a duration such as `1h30m`.
pub(crate) fn duration(text: &str) -> Outcome<Option<Duration>> {
    if text == "none" {
        return Ok(None);
    }
    let parsed = go_duration(text).ok_or_else(|| {
        invalid(format!("invalid format for ban duration: time: invalid duration {text:?}"))
    })?;
    Ok((!parsed.is_zero()).then_some(parsed))
}

/// Numbers with units in a row; nothing when the text is anything else. Negative durations count as nothing too.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0f64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.chars().take_while(|c| c.is_alphabetic()).map(char::len_utf8).sum();
        total += number * unit_seconds(&rest[..letters])?;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(total).ok()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(go_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1500)));
        for bad in ["", "1", "h", "1d", "-1h", "1h 2m", "."] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
        assert_eq!(duration("none").unwrap(), None);
        assert!(duration("forever").is_err());
    }
}
