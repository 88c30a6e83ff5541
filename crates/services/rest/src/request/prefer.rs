//! The `Prefer` header.

use http::HeaderMap;

/// What the client prefers; the first of each kind counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Preferences {
    pub resolution: Option<Resolution>,
    pub representation: Option<Representation>,
    pub count: Option<Count>,
    pub transaction: Option<TransactionEnd>,
    pub missing: Option<Missing>,
    pub handling: Option<Handling>,
    pub timezone: Option<String>,
    pub max_affected: Option<i64>,
    pub pagination: Option<Pagination>,
    /// What was not recognised, verbatim.
    pub unknown: Vec<String>,
}

macro_rules! preference {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            /// The preference as headers write it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

preference! {
    /// What to do with rows that exist already.
    Resolution { Merge = "resolution=merge-duplicates", Ignore = "resolution=ignore-duplicates" }
}
preference! {
    /// What to return from a mutation.
    Representation { Full = "return=representation", Minimal = "return=minimal", HeadersOnly = "return=headers-only" }
}
preference! {
    /// How to count the rows.
    Count { Exact = "count=exact", Planned = "count=planned", Estimated = "count=estimated" }
}
preference! {
    /// How the transaction ends.
    TransactionEnd { Commit = "tx=commit", Rollback = "tx=rollback" }
}
preference! {
    /// What keys missing from a payload mean.
    Missing { Default = "missing=default", Null = "missing=null" }
}
preference! {
    /// What unknown preferences mean.
    Handling { Strict = "handling=strict", Lenient = "handling=lenient" }
}

preference! {
    /// How the next page is found; beyond the reference's protocol.
    Pagination { Keyset = "pagination=keyset" }
}

impl Preferences {
    /// The preferences of a request. `tx` is only known where the settings let clients choose.
    pub fn parse(headers: &HeaderMap, transaction_choice: bool) -> Self {
        let mut found = Preferences::default();
        for header in headers.get_all("prefer") {
            let text = String::from_utf8_lossy(header.as_bytes());
            for item in text.split(',').map(str::trim) {
                found.add(item, transaction_choice);
            }
        }
        found
    }

    fn add(&mut self, item: &str, transaction_choice: bool) {
        fn first<T>(slot: &mut Option<T>, value: T) {
            slot.get_or_insert(value);
        }
        if let Some(value) = Resolution::parse(item) {
            first(&mut self.resolution, value);
        } else if let Some(value) = Representation::parse(item) {
            first(&mut self.representation, value);
        } else if let Some(value) = Count::parse(item) {
            first(&mut self.count, value);
        } else if let Some(value) = TransactionEnd::parse(item) {
            if transaction_choice {
                first(&mut self.transaction, value);
            }
        } else if let Some(value) = Missing::parse(item) {
            first(&mut self.missing, value);
        } else if let Some(value) = Handling::parse(item) {
            first(&mut self.handling, value);
        } else if let Some(value) = Pagination::parse(item) {
            first(&mut self.pagination, value);
        } else if let Some(value) = item.strip_prefix("timezone=") {
            first(&mut self.timezone, value.to_owned());
        } else if let Some(value) = item.strip_prefix("max-affected=") {
            if let Ok(value) = value.parse() {
                first(&mut self.max_affected, value);
            }
        } else {
            self.unknown.push(item.to_owned());
        }
    }

    /// `handling=strict`.
    pub fn is_strict(&self) -> bool {
        self.handling == Some(Handling::Strict)
    }

    /// A true count of rows is wanted, at least up to the row limit.
    pub fn counts(&self) -> bool {
        matches!(self.count, Some(Count::Exact | Count::Estimated))
    }

    /// The planner's estimate is wanted.
    pub fn estimates(&self) -> bool {
        matches!(self.count, Some(Count::Planned | Count::Estimated))
    }

    /// The value of `Preference-Applied`; nothing when no preference applied.
    pub fn applied(&self) -> Option<String> {
        let mut parts: Vec<String> = [
            self.resolution.map(Resolution::as_str),
            self.missing.map(Missing::as_str),
            self.representation.map(Representation::as_str),
            self.count.map(Count::as_str),
            self.transaction.map(TransactionEnd::as_str),
            self.handling.map(Handling::as_str),
        ]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
        parts.extend(self.timezone.as_ref().map(|zone| format!("timezone={zone}")));
        if self.is_strict() {
            parts.extend(self.max_affected.map(|rows| format!("max-affected={rows}")));
        }
        parts.extend(self.pagination.map(|pagination| pagination.as_str().to_owned()));
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
