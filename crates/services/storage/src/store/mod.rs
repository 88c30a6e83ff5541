//! The tables: what is read from them and the statements that write them, one module a table.
//!
//! The text is the same for dedicated projects and for those of a shard, but for the keys that an upsert names: see
//! [`Layout`].

pub(crate) mod buckets;
pub(crate) mod entry;
pub(crate) mod events;
pub(crate) mod import;
pub(crate) mod listed;
pub(crate) mod multipart;
pub(crate) mod objects;
pub(crate) mod resumable;
pub(crate) mod search;
pub(crate) mod versions;

use crate::settings::Settings;

/// How the tables of a project lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Tables of its own.
    Own,
    /// Tables of a shard, whose keys begin with the app's number.
    Shard,
}

impl Layout {
    pub(crate) fn of(settings: &Settings) -> Layout {
        if settings.is_pooled() { Layout::Shard } else { Layout::Own }
    }
}

/// The text of a time column in answers: milliseconds and `Z`.
macro_rules! iso {
    ($column:literal) => {
        concat!("to_char(", $column, " at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
    };
}
pub(crate) use iso;
