//! The size that a TIFF claims, read before its decoder sees it: that refuses a large one as damaged.

use crate::Error;
use crate::limits::Admission;

const ENTRY: usize = 12;
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const SHORT: u16 = 3;

pub(super) fn check(source: &[u8], admission: &Admission<'_>) -> Result<(), Error> {
    match size(source) {
        Some((width, height)) => admission.measure(width, height),
        // The decoder says what is wrong with it.
        None => Ok(()),
    }
}

fn size(source: &[u8]) -> Option<(u32, u32)> {
    let little = source.starts_with(b"II");
    let short = |at: usize| {
        let bytes: [u8; 2] = source.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes: [u8; 4] = source.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = long(4)? as usize;
    let count = usize::from(short(directory)?);
    let (mut width, mut height) = (None, None);
    for number in 0..count {
        let at = directory + 2 + number * ENTRY;
        let value = if short(at + 2)? == SHORT { u32::from(short(at + 8)?) } else { long(at + 8)? };
        match short(at)? {
            WIDTH => width = Some(value),
            HEIGHT => height = Some(value),
            _ => {}
        }
    }
    Some((width?, height?))
}
