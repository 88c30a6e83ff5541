//! From bytes to pixels, with the limits applied before memory is taken.

mod ico;
mod png;
mod tiff;
mod webp;

use std::io::Cursor;

use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, tiff::TiffDecoder, webp::WebPDecoder,
};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError};

use crate::limits::Admission;
use crate::pixels::{Decoded, Pixels};
use crate::{Error, Excess, Kind};

/// Decodes a source of a known kind.
pub(crate) fn decode(source: &[u8], kind: Kind, admission: &mut Admission<'_>) -> Result<Decoded, Error> {
    let reader = || Cursor::new(source);
    match kind {
        Kind::Png => png::decode(source, admission),
        Kind::Ico => ico::decode(source, admission),
        Kind::Webp => {
            webp::check(source, admission)?;
            with(WebPDecoder::new(reader()).map_err(refused)?, 12, admission)
        }
        // A progressive one keeps a 16-bit coefficient for each sample besides the pixels.
        Kind::Jpeg => with(JpegDecoder::new(reader()).map_err(refused)?, 9, admission),
        Kind::Gif => with(GifDecoder::new(reader()).map_err(refused)?, 12, admission),
        Kind::Bmp => with(BmpDecoder::new(reader()).map_err(refused)?, 8, admission),
        Kind::Tiff => {
            tiff::check(source, admission)?;
            let decoder = TiffDecoder::new(reader()).map_err(refused)?;
            let deep = u64::from(decoder.color_type().bytes_per_pixel());
            with(decoder, deep * 2 + 4, admission)
        }
    }
}

/// Runs a decoder of `image` that has read its header and no more.
fn with(
    mut decoder: impl ImageDecoder,
    bytes_per_pixel: u64,
    admission: &mut Admission<'_>,
) -> Result<Decoded, Error> {
    let (width, height) = decoder.dimensions();
    admission.admit(width, height, bytes_per_pixel)?;
    // Damaged camera notes are no reason to refuse a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().unwrap_or_default();
    decoder.set_limits(admission.for_image()).map_err(refused)?;
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    Ok(Decoded { pixels: Pixels::from_image(image), orientation, profile })
}

fn refused(error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => Error::TooLarge(Excess::Memory),
        _ => Error::Invalid,
    }
}
