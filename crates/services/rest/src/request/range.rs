//! Ranges of rows: `limit`, `offset` and the `Range` header.

/// Rows from `lower` to `upper`, counted from zero; without `upper` to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    pub lower: i64,
    pub upper: Option<i64>,
}

impl Span {
    /// All rows.
    pub const ALL: Span = Span { lower: 0, upper: None };
    /// `limit=0`: none, without being out of range.
    pub const ZERO: Span = Span { lower: 0, upper: Some(-1) };

    /// From `limit` and `offset`.
    pub fn of(limit: Option<i64>, offset: i64) -> Self {
        match limit {
            Some(0) => Span::ZERO,
            Some(limit) => {
                Span { lower: offset, upper: Some(offset.saturating_add(limit).saturating_sub(1)) }
            }
            None => Span { lower: offset, upper: None },
        }
    }

    /// From a `Range` header; anything but `a-b` and `a-` means all.
    pub fn of_header(text: &str) -> Self {
        let Some((lower, upper)) = text.trim().split_once('-') else { return Span::ALL };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if lower.is_empty() || !digits(lower) || !digits(upper) {
            return Span::ALL;
        }
        match lower.parse() {
            Ok(lower) => Span { lower, upper: upper.parse().ok() },
            Err(_) => Span::ALL,
        }
    }

    /// The rows in both.
    #[must_use]
    pub fn meet(self, other: Span) -> Self {
        let upper = match (self.upper, other.upper) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Span { lower: self.lower.max(other.lower), upper }
    }

    /// No row can be in it.
    pub fn is_empty(self) -> bool {
        self.upper.is_some_and(|upper| upper < self.lower)
    }

    /// At most so many rows, unless there are none anyway.
    #[must_use]
    pub fn capped(self, rows: Option<u64>) -> Self {
        match rows {
            Some(rows) if self != Span::ZERO => {
                let rows = i64::try_from(rows).unwrap_or(i64::MAX);
                self.meet(Span {
                    lower: self.lower,
                    upper: Some(self.lower.saturating_add(rows).saturating_sub(1)),
                })
            }
            _ => self,
        }
    }

    /// The number of rows, where there is a limit.
    pub fn limit(self) -> Option<i64> {
        self.upper.map(|upper| upper.saturating_sub(self.lower).saturating_add(1))
    }
}
