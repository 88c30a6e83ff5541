//! As much of CBOR as authenticators write: definite lengths, integers, texts, bytes, arrays, maps.

use crate::Error;

/// Authenticators nest four deep at most.
const DEPTH_MAX: usize = 8;
/// How many entries an array or a map may have.
const ENTRIES_MAX: usize = 64;

/// A value, borrowing from the input.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Array(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// A boolean, nothing, or a number with a point: read over.
    Simple(u64),
}

impl<'a> Value<'a> {
    /// The value under a text, of a map.
    pub fn named(&self, name: &str) -> Option<&Value<'a>> {
        self.under(&Value::Text(name))
    }

    /// The value under a number, of a map.
    pub fn numbered(&self, number: i64) -> Option<&Value<'a>> {
        self.under(&Value::Integer(number))
    }

    fn under(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        match self {
            Value::Map(entries) => entries.iter().find(|(found, _)| found == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&'a str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub fn is_empty_map(&self) -> bool {
        matches!(self, Value::Map(entries) if entries.is_empty())
    }
}

/// Reads one value and returns what follows it.
pub fn read(input: &[u8]) -> Result<(Value<'_>, &[u8]), Error> {
    let mut reader = Reader { rest: input };
    let value = reader.value(0)?;
    Ok((value, reader.rest))
}

/// Reads one value that fills the input.
pub fn read_all(input: &[u8]) -> Result<Value<'_>, Error> {
    match read(input)? {
        (value, []) => Ok(value),
        _ => Err(Error::Form),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Error::Form)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Major type, argument, and whether the argument stands in bytes of its own.
    fn head(&mut self) -> Result<(u8, u64), Error> {
        let first = self.take(1)?[0];
        let argument = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            size @ 24..=27 => {
                let bytes = self.take(1 << (size - 24))?;
                bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            // Lengths that are not told in advance.
            _ => return Err(Error::Form),
        };
        Ok((first >> 5, argument))
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Form);
        }
        let (major, argument) = self.head()?;
        let length = usize::try_from(argument).map_err(|_| Error::Form);
        match major {
            0 => i64::try_from(argument).map(Value::Integer).map_err(|_| Error::Form),
            1 => i64::try_from(argument).map(|n| Value::Integer(-1 - n)).map_err(|_| Error::Form),
            2 => Ok(Value::Bytes(self.take(length?)?)),
            3 => std::str::from_utf8(self.take(length?)?).map(Value::Text).map_err(|_| Error::Form),
            4 => self.array(length?, depth),
            5 => self.map(length?, depth),
            7 => Ok(Value::Simple(argument)),
            // Tags.
            _ => Err(Error::Form),
        }
    }

    fn array(&mut self, length: usize, depth: usize) -> Result<Value<'a>, Error> {
        if length > ENTRIES_MAX {
            return Err(Error::Form);
        }
        (0..length).map(|_| self.value(depth + 1)).collect::<Result<_, _>>().map(Value::Array)
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value<'a>, Error> {
        if length > ENTRIES_MAX {
            return Err(Error::Form);
        }
        let mut entries: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        for _ in 0..length {
            let key = self.value(depth + 1)?;
            let is_name = matches!(key, Value::Integer(_) | Value::Text(_));
            if !is_name || entries.iter().any(|(known, _)| *known == key) {
                return Err(Error::Form);
            }
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let input = b"\xa3\x01\x20\x61a\x42\x01\x02\x02\x81\x63abc";
        let value = read_all(input).unwrap();
        assert_eq!(value.numbered(1).and_then(Value::integer), Some(-1));
        assert_eq!(value.named("a").and_then(Value::bytes), Some(&[1, 2][..]));
        assert_eq!(value.numbered(2), Some(&Value::Array(vec![Value::Text("abc")])));
        assert_eq!(read(b"\x18\x2a\xf5").unwrap(), (Value::Integer(42), &b"\xf5"[..]));
        assert_eq!(read_all(b"\x39\x01\x00").unwrap(), Value::Integer(-257));
        assert_eq!(read_all(b"\xf6").unwrap(), Value::Simple(22));
    }

    #[test]
    fn what_claims_too_much_is_refused_without_being_allocated() {
        for input in [
            &b""[..],
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x9b\x00\x00\x00\x7f\xff\xff\xff\xff",
            b"\xba\xff\xff\xff\xff",
            b"\x5f\x41a\xff",
            b"\xa2\x01\x01\x01\x02",
            b"\xa1\x81\x01\x01",
            b"\xc1\x01",
            b"\x62\xff\xff",
            b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            &[0x81; 64],
        ] {
            assert_eq!(read_all(input), Err(Error::Form), "{input:x?}");
        }
        assert_eq!(read_all(b"\x01\x01"), Err(Error::Form), "something follows");
    }
}
