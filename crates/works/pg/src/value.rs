//! Values in PostgreSQL's text format.

use crate::error::Error;
use bytes::Bytes;
use sql::Param;
use std::fmt::Display;

/// A text as a parameter.
pub fn text(value: impl AsRef<str>) -> Param {
    Some(Bytes::copy_from_slice(value.as_ref().as_bytes()))
}

/// Anything whose display form is PostgreSQL's text form: numbers, booleans, UUIDs.
pub fn param(value: impl Display) -> Param {
    Some(Bytes::from(value.to_string()))
}

/// SQL's null as a parameter.
pub fn null() -> Param {
    None
}

/// A type that can be read from PostgreSQL's text format.
pub trait FromText: Sized {
    /// Reads a value; `None` is SQL's null.
    ///
    /// # Errors
    /// [`Error::Decode`] when the value is of another kind.
    fn from_text(value: Option<&str>) -> Result<Self, Error>;
}

impl<T: FromText> FromText for Option<T> {
    fn from_text(value: Option<&str>) -> Result<Self, Error> {
        value.map(|v| T::from_text(Some(v))).transpose()
    }
}

fn not_null<'a>(value: Option<&'a str>, kind: &str) -> Result<&'a str, Error> {
    value.ok_or_else(|| Error::Decode(format!("null instead of {kind}")))
}

impl FromText for String {
    fn from_text(value: Option<&str>) -> Result<Self, Error> {
        not_null(value, "text").map(str::to_owned)
    }
}

impl FromText for bool {
    fn from_text(value: Option<&str>) -> Result<Self, Error> {
        match not_null(value, "a boolean")? {
            "t" => Ok(true),
            "f" => Ok(false),
            _ => Err(Error::Decode("not a boolean".to_owned())),
        }
    }
}

macro_rules! parsed {
    ($kind:literal: $($type:ty),*) => {$(
        impl FromText for $type {
            fn from_text(value: Option<&str>) -> Result<Self, Error> {
                not_null(value, $kind)?.parse().map_err(|_| Error::Decode(concat!("not ", $kind).to_owned()))
            }
        }
    )*};
}

parsed!("a number": i16, i32, i64, u16, u32, u64, usize, f64);
parsed!("a UUID": uuid::Uuid);
