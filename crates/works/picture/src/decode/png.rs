//! PNG, through the decoder itself: `image` offers no way to tolerate wrong checksums, and real files have them
//! (the reference's own test does). Texts are not read, and a compressed profile only as far as the limit goes.

use std::io::Cursor;

use image::metadata::Orientation;
use png::{ColorType, DecodeOptions, Decoder, DecodingError, Limits, Transformations};

use crate::limits::Admission;
use crate::pixels::{Decoded, Pixels};
use crate::{Error, Excess};

/// What the decoder may take besides the pixels: rows and small chunks.
const INTERNAL: usize = 64 * 1024 * 1024;

pub(super) fn decode(source: &[u8], admission: &mut Admission<'_>) -> Result<Decoded, Error> {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(true);
    options.set_ignore_text_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(source), options);
    decoder.set_limits(Limits { bytes: INTERNAL });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let (width, height) = decoder.read_header_info().map_err(refused)?.size();
    admission.admit(width, height, 8)?;
    let mut reader = decoder.read_info().map_err(refused)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => return Err(Error::Invalid),
    };
    let length = (width as usize)
        .checked_mul(height as usize)
        .and_then(|pixels| pixels.checked_mul(usize::from(channels)))
        .ok_or(Error::TooLarge(Excess::Memory))?;
    if reader.output_buffer_size() != Some(length) {
        return Err(Error::Invalid);
    }
    let mut data = vec![0; length];
    reader.next_frame(&mut data).map_err(refused)?;
    let orientation = reader
        .info()
        .exif_metadata
        .as_ref()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let profile = reader.info().icc_profile.as_ref().map(|profile| profile.to_vec());
    Ok(Decoded { pixels: Pixels { width, height, channels, data }, orientation, profile })
}

fn refused(error: DecodingError) -> Error {
    match error {
        DecodingError::LimitsExceeded => Error::TooLarge(Excess::Memory),
        _ => Error::Invalid,
    }
}
