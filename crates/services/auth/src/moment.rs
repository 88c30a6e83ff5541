//! Points in time as PostgreSQL keeps them and clients see them: microseconds, UTC, RFC 3339.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, cut to microseconds so that it is the same after a round trip through a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(OffsetDateTime);

impl Moment {
    pub(crate) fn from_system(time: SystemTime) -> Moment {
        let time = OffsetDateTime::from(time);
        let micros = time.nanosecond() / 1_000 * 1_000;
        Moment(time.replace_nanosecond(micros).unwrap_or(time))
    }

    /// A point in time that somebody wrote, cut as ours are.
    pub(crate) fn from_time(time: OffsetDateTime) -> Moment {
        let micros = time.nanosecond() / 1_000 * 1_000;
        Moment(time.replace_nanosecond(micros).unwrap_or(time))
    }

    pub(crate) fn time(self) -> OffsetDateTime {
        self.0
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// `duration` later; the end of time when that is past it.
    pub(crate) fn plus(self, duration: Duration) -> Moment {
        let later = time::Duration::try_from(duration).ok().and_then(|d| self.0.checked_add(d));
        Moment(later.unwrap_or(END))
    }

    /// `duration` earlier; the beginning of time when that is before it.
    pub(crate) fn minus(self, duration: Duration) -> Moment {
        let earlier = time::Duration::try_from(duration).ok().and_then(|d| self.0.checked_sub(d));
        Moment(earlier.unwrap_or(START))
    }

    /// Whole seconds from `earlier` to this; negative when it is later.
    pub(crate) fn seconds_since(self, earlier: Moment) -> i64 {
        (self.0 - earlier.0).whole_seconds()
    }
}

const END: OffsetDateTime = time::macros::datetime!(9999-12-31 23:59:59 UTC);
const START: OffsetDateTime = time::macros::datetime!(0001-01-01 00:00:00 UTC);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.0.to_offset(time::UtcOffset::UTC);
        f.write_str(&utc.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        // Infinite times are what people write by hand to ban somebody for good.
        match text.as_ref() {
            "infinity" => return Ok(Moment(END)),
            "-infinity" => return Ok(Moment(START)),
            _ => {}
        }
        // A `timestamp` has no offset and is UTC here; a `timestamptz` has one.
        let offset = text.get(10..).is_some_and(|time| time.contains(['+', '-', 'Z']));
        let parsed = if offset {
            OffsetDateTime::parse(&text, &Rfc3339)
        } else {
            OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339)
        };
        parsed.map(Moment).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        serde_json::from_value::<Moment>(serde_json::json!(text)).unwrap().to_string()
    }

    #[test]
    fn postgres_json_times_become_utc() {
        assert_eq!(read("2026-11-21T05:06:11.123456+01:00"), "2026-11-21T04:06:11.123456Z");
        assert_eq!(read("2026-11-21T04:06:11.5"), "2026-11-21T04:06:11.5Z");
        assert_eq!(read("2026-11-21T04:06:11+00:00"), "2026-11-21T04:06:11Z");
        assert_eq!(read("infinity"), "9999-12-31T23:59:59Z");
    }
}
