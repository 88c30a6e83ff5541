//! Times and durations as XML Schema writes them.

use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time; without a zone it is UTC, as SAML says.
pub(crate) fn read(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    let zoned = text.get(10..).is_some_and(|rest| rest.contains(['Z', '+', '-']));
    let parsed = if zoned {
        OffsetDateTime::parse(text, &Rfc3339)
    } else {
        OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339)
    };
    parsed.ok()
}

/// A time, to the second.
pub(crate) fn write(at: OffsetDateTime) -> String {
    let whole = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// A duration: `P1DT2H`. Years count 365 days and months 30: nobody's cache is that exact.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let rest = text.trim().strip_prefix('P')?;
    let (days, times) = rest.split_once('T').unwrap_or((rest, ""));
    let sum = |text: &str, units: &[(char, u64)]| -> Option<u64> {
        let (mut total, mut number) = (0u64, String::new());
        for c in text.chars() {
            if c.is_ascii_digit() || c == '.' {
                number.push(c);
                continue;
            }
            let seconds = units.iter().find(|(unit, _)| *unit == c)?.1;
            let whole: u64 = number.split('.').next()?.parse().ok()?;
            total = total.checked_add(whole.checked_mul(seconds)?)?;
            number.clear();
        }
        number.is_empty().then_some(total)
    };
    const DAY: u64 = 86_400;
    let days = sum(days, &[('Y', 365 * DAY), ('M', 30 * DAY), ('W', 7 * DAY), ('D', DAY)])?;
    let times = sum(times, &[('H', 3600), ('M', 60), ('S', 1)])?;
    Some(Duration::from_secs(days.checked_add(times)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_zone_or_are_utc() {
        let at = read("2026-11-21T08:00:00.123Z").unwrap();
        assert_eq!(write(at), "2026-11-21T08:00:00Z");
        assert_eq!(read("2026-11-21T09:00:00.123+01:00"), Some(at));
        assert_eq!(read("2026-11-21T08:00:00.123"), Some(at));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn durations_add_up() {
        for (text, seconds) in
            [("PT1H", 3600), ("P1DT2H3M4S", 93_784), ("P1W", 604_800), ("P1M", 2_592_000), ("PT1.5S", 1)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "1H", "PT1", "PTH", "P1H", "P99999999999999999999D", "-PT1H"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
