//! A look at the structure of a WebP file before it is decoded.
//!
//! The decoder believes the frame's own header over the canvas's and only compares afterwards, and it takes memory for
//! chunks as long as they say they are. So both are compared here first.

use crate::Error;
use crate::limits::Admission;

/// Files with more chunks than this are not pictures (an animation has one for each frame).
const MOST_CHUNKS: usize = 100_000;

pub(super) fn check(source: &[u8], admission: &Admission<'_>) -> Result<(), Error> {
    let mut chunks = Chunks { rest: source.get(12..).ok_or(Error::Invalid)?, left: MOST_CHUNKS };
    while let Some((name, body)) = chunks.next()? {
        match &name {
            b"ANMF" => {
                // 16 bytes of place, size and timing, then chunks of its own.
                let inside = body.get(16..).ok_or(Error::Invalid)?;
                let mut frame = Chunks { rest: inside, left: 16 };
                while let Some((name, body)) = frame.next()? {
                    check_frame(&name, body, admission)?;
                }
            }
            _ => check_frame(&name, body, admission)?,
        }
    }
    Ok(())
}

fn check_frame(name: &[u8; 4], body: &[u8], admission: &Admission<'_>) -> Result<(), Error> {
    let (width, height) = match name {
        b"VP8 " => {
            let header = body.get(6..10).ok_or(Error::Invalid)?;
            let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            (side(header[0], header[1]), side(header[2], header[3]))
        }
        b"VP8L" => {
            let header: [u8; 4] = body.get(1..5).and_then(|h| h.try_into().ok()).ok_or(Error::Invalid)?;
            let bits = u32::from_le_bytes(header);
            ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1)
        }
        _ => return Ok(()),
    };
    admission.measure(width, height)
}

/// The chunks of a RIFF file, none longer than the file.
struct Chunks<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Chunks<'a> {
    #[allow(clippy::type_complexity, reason = "a name and a body")]
    fn next(&mut self) -> Result<Option<([u8; 4], &'a [u8])>, Error> {
        if self.rest.len() < 8 {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(Error::Invalid)?;
        let (header, rest) = self.rest.split_at(8);
        let name = [header[0], header[1], header[2], header[3]];
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let body = rest.get(..length).ok_or(Error::Invalid)?;
        self.rest = rest.get(length + length % 2..).unwrap_or_default();
        Ok(Some((name, body)))
    }
}
