//! Icons: a directory of pictures, of which the best is shown.
//!
//! The picture is chosen here and decoded as what it is. A PNG inside goes through our own PNG decoding with its limits;
//! a bitmap inside is handed to `image` in a directory of its own.

use std::io::Cursor;

use image::codecs::ico::IcoDecoder;

use crate::Error;
use crate::limits::Admission;
use crate::pixels::Decoded;

const ENTRY: usize = 16;
const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

pub(super) fn decode(source: &[u8], admission: &mut Admission<'_>) -> Result<Decoded, Error> {
    let count = usize::from(u16::from_le_bytes([byte(source, 4)?, byte(source, 5)?]));
    let directory = source.get(6..6 + count * ENTRY).ok_or(Error::Invalid)?;
    let best = directory.chunks_exact(ENTRY).max_by_key(|entry| score(entry)).ok_or(Error::Invalid)?;
    let number =
        |at: usize| u32::from_le_bytes([best[at], best[at + 1], best[at + 2], best[at + 3]]) as usize;
    let (length, offset) = (number(8), number(12));
    let end = offset.checked_add(length).ok_or(Error::Invalid)?;
    let body = source.get(offset..end).ok_or(Error::Invalid)?;
    if body.starts_with(&PNG) {
        return super::png::decode(body, admission);
    }
    let mut alone = Vec::with_capacity(6 + ENTRY + body.len());
    alone.extend_from_slice(&[0, 0, 1, 0, 1, 0]);
    alone.extend_from_slice(&best[..12]);
    alone.extend_from_slice(&((6 + ENTRY) as u32).to_le_bytes());
    alone.extend_from_slice(body);
    super::with(IcoDecoder::new(Cursor::new(alone)).map_err(super::refused)?, 12, admission)
}

fn byte(source: &[u8], at: usize) -> Result<u8, Error> {
    source.get(at).copied().ok_or(Error::Invalid)
}

/// The largest is best, then the one with most colours.
fn score(entry: &[u8]) -> (u32, u16) {
    let side = |n: u8| if n == 0 { 256 } else { u32::from(n) };
    (side(entry[0]) * side(entry[1]), u16::from_le_bytes([entry[6], entry[7]]))
}
