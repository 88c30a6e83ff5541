//! The result of one statement.

use crate::error::Error;
use crate::value::FromText;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_oid: u32,
}

/// The rows that a statement returned and its command tag.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub(crate) columns: Arc<[Column]>,
    pub(crate) rows: Vec<Row>,
    pub(crate) tag: String,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The server's word for what happened: `INSERT 0 3`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// How many rows the statement returned or touched; 0 where the server does not say.
    pub fn affected(&self) -> u64 {
        self.tag.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// The one row that must be there.
    ///
    /// # Errors
    /// [`Error::Decode`] when there is none.
    pub fn one(&self) -> Result<&Row, Error> {
        self.first().ok_or_else(|| Error::Decode("no row where one was expected".to_owned()))
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// A row: the bytes as they came from the server, and where its values lie in them.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) buffer: Bytes,
    pub(crate) values: Box<[Option<Range<usize>>]>,
}

impl Row {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The bytes of a value; `None` for null and for a column that is not there.
    pub fn bytes(&self, index: usize) -> Option<&[u8]> {
        self.values.get(index)?.clone().map(|range| &self.buffer[range])
    }

    /// The bytes of a value, sharing the memory of the row.
    pub fn raw(&self, index: usize) -> Option<Bytes> {
        self.values.get(index)?.clone().map(|range| self.buffer.slice(range))
    }

    /// A value as text; `None` for null and for what is not UTF-8.
    pub fn text(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(index)?).ok()
    }

    /// A value of a Rust type.
    ///
    /// # Errors
    /// [`Error::Decode`] when the value is of another kind.
    pub fn get<T: FromText>(&self, index: usize) -> Result<T, Error> {
        let value = self
            .bytes(index)
            .map(std::str::from_utf8)
            .transpose()
            .map_err(|_| Error::Decode("text that is not UTF-8".to_owned()))?;
        T::from_text(value).map_err(|e| match e {
            Error::Decode(why) => Error::Decode(format!("column {index}: {why}")),
            other => other,
        })
    }

    /// A `json` or `jsonb` value read into a Rust type. SQL's null reads like JSON's.
    ///
    /// # Errors
    /// [`Error::Decode`] when the JSON is of another shape.
    pub fn json<T: DeserializeOwned>(&self, index: usize) -> Result<T, Error> {
        serde_json::from_slice(self.bytes(index).unwrap_or(b"null"))
            .map_err(|e| Error::Decode(format!("column {index}: {e}")))
    }
}
