//! The rows of listings: read in PostgreSQL's binary format, written as clients see them.
//!
//! A page has hundreds of times and documents. PostgreSQL would spend more on making their text than on finding the
//! rows, so it sends what it has.

use pg::Row;
use uuid::Uuid;

/// The columns of a listing in the order in which [`Entry::of`] reads them.
macro_rules! entry {
    ($from:literal) => {
        concat!(
            $from,
            ".name, ",
            $from,
            ".id, ",
            $from,
            ".updated_at, ",
            $from,
            ".created_at, ",
            $from,
            ".last_accessed_at, ",
            $from,
            ".metadata"
        )
    };
}
pub(crate) use entry;

/// An object of a listing, or a folder, which has no id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: Option<Uuid>,
    pub(crate) updated_at: Option<Moment>,
    pub(crate) created_at: Option<Moment>,
    pub(crate) last_accessed_at: Option<Moment>,
    /// A JSON document.
    pub(crate) metadata: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Reads a row of a [binary](crate::db::Step::binary) step.
    pub(crate) fn of(row: &'a Row) -> Entry<'a> {
        Entry {
            name: row.text(0).unwrap_or_default(),
            id: row.bytes(1).and_then(|bytes| Uuid::from_slice(bytes).ok()),
            updated_at: row.bytes(2).and_then(Moment::read),
            created_at: row.bytes(3).and_then(Moment::read),
            last_accessed_at: row.bytes(4).and_then(Moment::read),
            metadata: row.bytes(5).and_then(document),
        }
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.id.is_none()
    }

    /// The members of the entry but for its name: `"id":…,"updated_at":…`.
    pub(crate) fn write_id(&self, out: &mut String) {
        out.push_str("\"id\":");
        match &self.id {
            Some(id) => quoted(out, id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            None => out.push_str("null"),
        }
    }

    /// The times and the document, behind a comma.
    pub(crate) fn write_rest(&self, out: &mut String) {
        for (name, moment) in [
            (",\"updated_at\":", self.updated_at),
            (",\"created_at\":", self.created_at),
            (",\"last_accessed_at\":", self.last_accessed_at),
        ] {
            out.push_str(name);
            match moment {
                Some(moment) => {
                    out.push('"');
                    moment.write(out);
                    out.push('"');
                }
                None => out.push_str("null"),
            }
        }
        out.push_str(",\"metadata\":");
        out.push_str(self.metadata.unwrap_or("null"));
    }
}

fn quoted(out: &mut String, plain: &str) {
    out.push('"');
    out.push_str(plain);
    out.push('"');
}

/// A text as JSON.
pub(crate) fn write_text(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        quoted(out, text);
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// The text of a `jsonb`, which follows the number of its version.
fn document(bytes: &[u8]) -> Option<&str> {
    let (1, text) = bytes.split_first().map(|(version, text)| (*version, text))? else { return None };
    std::str::from_utf8(text).ok()
}

/// A time of a row, in microseconds since 2000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(i64);

impl Moment {
    const A_SECOND: i64 = 1_000_000;
    const A_DAY: i64 = 86_400 * Moment::A_SECOND;
    /// Days from the beginning of March of the year 0 to the beginning of 2000.
    const DAYS_BEFORE: i64 = 730_425;

    /// Reads a `timestamptz`; nothing when it is infinitely far.
    fn read(bytes: &[u8]) -> Option<Moment> {
        let moment = i64::from_be_bytes(bytes.try_into().ok()?);
        (moment != i64::MAX && moment != i64::MIN).then_some(Moment(moment))
    }

    /// The time as answers have it: milliseconds and `Z`, the rest cut off.
    pub(crate) fn iso(self) -> String {
        let mut text = String::with_capacity(24);
        self.write(&mut text);
        text
    }

    fn write(self, out: &mut String) {
        let (year, month, day) = date(self.0.div_euclid(Moment::A_DAY) + Moment::DAYS_BEFORE);
        // There is no year 0: the one before 1 is 1 BC.
        let year = if year > 0 { year } else { 1 - year };
        let of_day = self.0.rem_euclid(Moment::A_DAY);
        let second = of_day / Moment::A_SECOND;
        digits(out, year, if year > 9999 { 6 } else { 4 });
        for (before, number) in
            [('-', month), ('-', day), ('T', second / 3600), (':', second / 60 % 60), (':', second % 60)]
        {
            out.push(before);
            digits(out, number, 2);
        }
        out.push('.');
        digits(out, of_day % Moment::A_SECOND / 1000, 3);
        out.push('Z');
    }
}

/// Writes a number with so many digits; years of five digits have no zero before them.
fn digits(out: &mut String, number: i64, count: u32) {
    let mut place = 10_i64.pow(count - 1);
    while count == 6 && place > number {
        place /= 10;
    }
    while place > 0 {
        out.push(char::from(b'0' + (number / place % 10) as u8));
        place /= 10;
    }
}

/// Year, month and day of the day of that number since the beginning of March of the year 0, when every 400 years
/// begin anew and the day that leap years have more is the last of a year.
fn date(days: i64) -> (i64, i64, i64) {
    let (eras, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let years = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * years + years / 4 - years / 100);
    // Five months from March on have 153 days, and so do the next.
    let months = (5 * day + 2) / 153;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (eras * 400 + years + i64::from(month <= 2), month, day - (153 * months + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_postgresql_writes_them() {
        // By `to_char(… at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.
        for (micros, text) in [
            (0, "2000-01-01T00:00:00.000Z"),
            (-1, "1999-12-31T23:59:59.999Z"),
            (5_097_600_000_000, "2000-02-29T00:00:00.000Z"),
            (848_582_229_123_999, "2026-11-21T13:17:09.123Z"),
            (-946_684_800_000_000, "1970-01-01T00:00:00.000Z"),
            (-63_082_281_600_000_000, "0001-01-01T00:00:00.000Z"),
            (-63_082_281_600_000_001, "0001-12-31T23:59:59.999Z"),
            (252_455_616_000_000_000, "10000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Moment(micros).iso(), text);
        }
        assert_eq!(Moment::read(&i64::MAX.to_be_bytes()), None);
        assert_eq!(Moment::read(&[0; 4]), None);
    }

    #[test]
    fn every_day_has_the_date_that_the_library_says() {
        let first = time::Date::from_calendar_date(1, time::Month::January, 1).unwrap();
        let mut day = first;
        for number in 306.. {
            let wanted = (i64::from(day.year()), i64::from(u8::from(day.month())), i64::from(day.day()));
            assert_eq!(date(number), wanted);
            let Some(next) = day.next_day() else { break };
            day = next;
        }
    }

    #[test]
    fn texts_are_json() {
        for text in ["", "a/b c", "\"", "\\", "\u{1}é\u{10FFFF}\n"] {
            let mut out = String::new();
            write_text(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
