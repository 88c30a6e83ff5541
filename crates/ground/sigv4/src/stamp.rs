//! The times of signatures: `20130524T000000Z`.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// A time as it is written in requests; kept as read, because its text is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    text: String,
    at: OffsetDateTime,
}

impl Stamp {
    /// Reads `20130524T000000Z`.
    pub fn parse(text: &str) -> Option<Stamp> {
        if text.len() != 16 || !text.is_ascii() {
            return None;
        }
        let at = PrimitiveDateTime::parse(text, FORMAT).ok()?.assume_utc();
        Some(Stamp { text: text.to_owned(), at })
    }

    /// The stamp of a time.
    pub fn of(at: OffsetDateTime) -> Stamp {
        let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
        let (date, time) = (at.date(), at.time());
        let text = format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        Stamp { text, at }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its day: `20130524`.
    pub fn day(&self) -> &str {
        self.text.get(..8).unwrap_or_default()
    }

    /// The time it means.
    pub fn at(&self) -> OffsetDateTime {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_go_there_and_back() {
        let stamp = Stamp::parse("20130524T000102Z").expect("a stamp");
        assert_eq!(stamp.day(), "20130524");
        assert_eq!(stamp.at().unix_timestamp(), 1_369_353_662);
        assert_eq!(Stamp::of(stamp.at()), stamp);
        for bad in
            ["", "20130524", "20130524T000000", "2013-05-24T00:00:00Z", "20131324T000000Z", "2013052éT00000Z"]
        {
            assert_eq!(Stamp::parse(bad), None, "{bad}");
        }
    }
}
