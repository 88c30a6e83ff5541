//! How a body is written in PostgreSQL's text format, by its type; and how that becomes the body itself, whole or piece
//! by piece.

use bytes::Bytes;
use pg::{Begun, Remainder, Rows};

/// The type of a body made of bytes; in the text format they come in hexadecimal.
const BYTEA: u32 = 17;
/// `jsonb`, which only custom handlers return.
const JSONB: u32 = 3802;
/// What bytes in hexadecimal begin with.
const PREFIX: &[u8] = b"\\x";

/// What is to be done to the pieces of a body, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    /// Bytes in hexadecimal: how many characters of the prefix are still to come, and the first half of a byte.
    Hexadecimal {
        prefix: usize,
        half: Option<u8>,
    },
    /// The version byte of jsonb's binary form stands first, which the reference sends too; its suite insists
    /// (test/spec/Feature/Query/CustomMediaSpec.hs).
    Versioned {
        first: bool,
    },
}

impl Encoding {
    /// Of a column of a result.
    pub(super) fn of(rows: &Rows, column: usize) -> Self {
        match rows.columns().get(column).map(|column| column.type_oid) {
            Some(BYTEA) => Encoding::Hexadecimal { prefix: PREFIX.len(), half: None },
            Some(JSONB) => Encoding::Versioned { first: true },
            _ => Encoding::Plain,
        }
    }

    /// Of what is still to come of an answer: its last value, or lines.
    pub(super) fn of_rest(begun: &Begun) -> Self {
        match (begun.rest, begun.results.last()) {
            (Remainder::Value(_), Some(main)) => Encoding::of(main, main.columns().len().saturating_sub(1)),
            _ => Encoding::Plain,
        }
    }

    /// The length of the body whose text has `length` bytes.
    pub(super) fn decoded_length(&self, length: u64) -> u64 {
        match self {
            Encoding::Plain => length,
            Encoding::Hexadecimal { .. } => length.saturating_sub(PREFIX.len() as u64) / 2,
            Encoding::Versioned { .. } => length.saturating_add(1),
        }
    }

    /// The next piece of the body.
    pub(super) fn decode(&mut self, piece: Bytes) -> Bytes {
        match self {
            Encoding::Plain => piece,
            Encoding::Hexadecimal { prefix, half } => {
                let skipped = (*prefix).min(piece.len());
                *prefix -= skipped;
                let mut decoded = Vec::with_capacity(piece.len() / 2 + 1);
                for digit in &piece[skipped..] {
                    match half.take() {
                        Some(high) => decoded.push(high << 4 | nibble(*digit)),
                        None => *half = Some(nibble(*digit)),
                    }
                }
                decoded.into()
            }
            Encoding::Versioned { first: true } => {
                *self = Encoding::Versioned { first: false };
                [b"\x01", &*piece].concat().into()
            }
            Encoding::Versioned { first: false } => piece,
        }
    }
}

fn nibble(digit: u8) -> u8 {
    char::from(digit).to_digit(16).map_or(0, |value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_across_pieces_of_any_size() {
        for size in 1..7 {
            let mut encoding = Encoding::Hexadecimal { prefix: 2, half: None };
            let decoded: Vec<u8> = b"\\x00ff10ab"
                .chunks(size)
                .flat_map(|piece| encoding.decode(Bytes::copy_from_slice(piece)).to_vec())
                .collect();
            assert_eq!(decoded, [0, 255, 16, 171], "{size}");
            assert_eq!(encoding.decoded_length(10), 4);
        }
    }

    #[test]
    fn the_version_comes_once() {
        let mut encoding = Encoding::Versioned { first: true };
        assert_eq!(encoding.decode(Bytes::from_static(b"{")), &b"\x01{"[..]);
        assert_eq!(encoding.decode(Bytes::from_static(b"}")), &b"}"[..]);
    }
}
