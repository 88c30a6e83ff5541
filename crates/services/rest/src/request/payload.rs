//! Request bodies: what is in them, without looking at more than the keys.

use super::lines;
use super::media::MediaType;
use super::query::decode_form;
use crate::faults;
use bytes::Bytes;
use fault::Fault;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// A body that is sent to the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Payload {
    /// JSON, or what was turned into JSON. PostgreSQL parses it.
    Json(Bytes),
    /// The fields of a form, for a function.
    Form(Vec<(String, String)>),
    /// Text, XML or bytes for a function with one unnamed parameter.
    Raw(Bytes),
}

impl Payload {
    /// Whether a JSON body looks like an object rather than an array.
    pub fn is_object(&self) -> bool {
        match self {
            Payload::Json(raw) => {
                raw.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) == Some(&b'{')
            }
            Payload::Form(_) => true,
            Payload::Raw(_) => false,
        }
    }
}

/// A body and the keys of its rows.
pub type Read = (Payload, BTreeSet<String>);

/// Reads a body. With `columns` the keys are not looked at.
pub fn read(
    body: Bytes,
    media: &MediaType,
    calls: bool,
    columns: Option<&BTreeSet<String>>,
) -> Result<Read, Fault> {
    match (media, columns) {
        (MediaType::Json, Some(columns)) => Ok((Payload::Json(body), columns.clone())),
        (MediaType::Json, None) if calls && body.is_empty() => {
            Ok((Payload::Json(Bytes::from_static(b"{}")), BTreeSet::new()))
        }
        (MediaType::Json, None) => json(body),
        (MediaType::Lines, columns) => {
            let (array, keys) = lines::to_array(&body, columns.is_none())?;
            Ok((Payload::Json(array), columns.cloned().unwrap_or(keys)))
        }
        (MediaType::Csv, _) => {
            json(csv_to_json(&body)?).map_err(|_| faults::body("All lines must have same number of fields"))
        }
        (MediaType::Form, _) => {
            let fields = decode_form(&String::from_utf8_lossy(&body));
            let keys = fields.iter().map(|(key, _)| key.clone()).collect();
            if calls {
                return Ok((Payload::Form(fields), keys));
            }
            let object: serde_json::Map<_, _> =
                fields.into_iter().map(|(key, value)| (key, serde_json::Value::from(value))).collect();
            Ok((Payload::Json(serde_json::Value::Object(object).to_string().into()), keys))
        }
        (MediaType::Text | MediaType::Xml | MediaType::OctetStream, columns) if calls => {
            let _ = columns;
            Ok((Payload::Raw(body), BTreeSet::new()))
        }
        (other, _) => Err(faults::body(format!("Content-Type not acceptable: {}", other.name()))),
    }
}

fn json(body: Bytes) -> Result<Read, Fault> {
    let shape = shape(&body).ok_or_else(|| faults::body("Empty or invalid json"))?;
    match shape {
        Shape::Object(keys) => Ok((Payload::Json(body), keys)),
        Shape::Objects(keys) => Ok((Payload::Json(body), keys)),
        Shape::Nothing => Ok((Payload::Json(Bytes::from_static(b"[]")), BTreeSet::new())),
        Shape::Uneven => Err(faults::body("All object keys must match")),
    }
}

/// What a JSON text is, as far as its columns go.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Object(BTreeSet<String>),
    /// An array of objects with the same keys.
    Objects(BTreeSet<String>),
    /// An array of anything else.
    Uneven,
    /// An empty array, or neither array nor object: no rows.
    Nothing,
}

fn shape(text: &[u8]) -> Option<Shape> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let shape = json.deserialize_any(ShapeVisitor).ok()?;
    json.end().ok()?;
    Some(shape)
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Shape, A::Error> {
        keys(map).map(Shape::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Shape, A::Error> {
        let Some(first) = rows.next_element::<RowKeys>()? else { return Ok(Shape::Nothing) };
        let mut even = first.0.is_some();
        while let Some(row) = rows.next_element::<RowKeys>()? {
            even = even && row.0 == first.0;
        }
        Ok(match first.0 {
            Some(keys) if even => Shape::Objects(keys),
            _ => Shape::Uneven,
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }
    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }
    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Nothing)
    }
}

fn keys<'de, A: MapAccess<'de>>(mut map: A) -> Result<BTreeSet<String>, A::Error> {
    let mut keys = BTreeSet::new();
    while let Some(key) = map.next_key::<String>()? {
        keys.insert(key);
        map.next_value::<IgnoredAny>()?;
    }
    Ok(keys)
}

/// The keys of an array's element; nothing when it is not an object.
pub(super) struct RowKeys(pub(super) Option<BTreeSet<String>>);

impl<'de> serde::Deserialize<'de> for RowKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shape = deserializer.deserialize_any(RowVisitor)?;
        Ok(RowKeys(shape))
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Option<BTreeSet<String>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        keys(map).map(Some)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// CSV with a header as a JSON array of objects of texts; the cell `NULL` is null.
fn csv_to_json(body: &[u8]) -> Result<Bytes, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| faults::body("The CSV is not valid UTF-8"))?;
    let mut records = csv_records(text).into_iter();
    let header = records.next().ok_or_else(|| faults::body("parse error (not enough input) at \"\""))?;
    let mut rows = Vec::new();
    for record in records {
        if record.len() != header.len() {
            return Err(faults::body("All lines must have same number of fields"));
        }
        let row: serde_json::Map<String, serde_json::Value> = header
            .iter()
            .cloned()
            .zip(
                record
                    .into_iter()
                    .map(|cell| if cell == "NULL" { serde_json::Value::Null } else { cell.into() }),
            )
            .collect();
        rows.push(serde_json::Value::Object(row));
    }
    Ok(serde_json::Value::Array(rows).to_string().into())
}

/// The records of a CSV text (RFC 4180); empty lines are skipped.
fn csv_records(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            _ if quoted => cell.push(c),
            '"' if cell.is_empty() => quoted = true,
            ',' => record.push(std::mem::take(&mut cell)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => end_record(&mut records, &mut record, &mut cell),
            _ => cell.push(c),
        }
    }
    end_record(&mut records, &mut record, &mut cell);
    records
}

fn end_record(records: &mut Vec<Vec<String>>, record: &mut Vec<String>, cell: &mut String) {
    if record.is_empty() && cell.is_empty() {
        return;
    }
    record.push(std::mem::take(cell));
    records.push(std::mem::take(record));
}
