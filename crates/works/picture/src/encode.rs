//! From pixels to a file.

use bytes::Bytes;
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder};
use ravif::{Img, RGB8, RGBA8};

use crate::{Error, Format};

/// Of 1 (slow) to 10: at 9 a megapixel takes about a second of one core, at 6 five times that.
const AVIF_SPEED: u8 = 9;
/// Of 1 (slow) to 30.
const GIF_SPEED: i32 = 10;

/// Encodes a picture; `quality` is 1–100.
pub(crate) fn encode(image: DynamicImage, format: Format, quality: u8) -> Result<Bytes, Error> {
    let quality = quality.clamp(1, 100);
    match format {
        Format::Jpeg => jpeg(image, quality),
        Format::Png => png(image),
        Format::Gif => gif(image),
        Format::Webp => webp(image, quality),
        Format::Avif => avif(image, quality),
    }
}

fn jpeg(image: DynamicImage, quality: u8) -> Result<Bytes, Error> {
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    let (width, height) = (image.width(), image.height());
    let written = match image {
        DynamicImage::ImageLuma8(grey) => encoder.write_image(&grey, width, height, ExtendedColorType::L8),
        image if image.color().has_alpha() => {
            let rgb = on_white(&image.into_rgba8());
            encoder.write_image(&rgb, width, height, ExtendedColorType::Rgb8)
        }
        image => encoder.write_image(&image.into_rgb8(), width, height, ExtendedColorType::Rgb8),
    };
    written.map_err(|_| Error::Internal("JPEG"))?;
    Ok(file.into())
}

/// What a transparent picture looks like on white.
fn on_white(image: &image::RgbaImage) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(image.width() as usize * image.height() as usize * 3);
    for pixel in image.pixels() {
        let [red, green, blue, alpha] = pixel.0;
        let mix = |colour: u8| {
            let mixed = u32::from(colour) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
            ((mixed + 127) / 255) as u8
        };
        rgb.extend_from_slice(&[mix(red), mix(green), mix(blue)]);
    }
    rgb
}

fn png(image: DynamicImage) -> Result<Bytes, Error> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    encoder
        .write_image(image.as_bytes(), image.width(), image.height(), image.color().into())
        .map_err(|_| Error::Internal("PNG"))?;
    Ok(file.into())
}

fn gif(image: DynamicImage) -> Result<Bytes, Error> {
    let mut file = Vec::new();
    let rgba = image.into_rgba8();
    GifEncoder::new_with_speed(&mut file, GIF_SPEED)
        .encode(&rgba, rgba.width(), rgba.height(), ExtendedColorType::Rgba8)
        .map_err(|_| Error::Internal("GIF"))?;
    Ok(file.into())
}

fn webp(image: DynamicImage, quality: u8) -> Result<Bytes, Error> {
    let (width, height) = (image.width(), image.height());
    let encoded = if image.color().has_alpha() {
        let rgba = image.into_rgba8();
        webp::Encoder::from_rgba(&rgba, width, height).encode_simple(false, f32::from(quality))
    } else {
        let rgb = image.into_rgb8();
        webp::Encoder::from_rgb(&rgb, width, height).encode_simple(false, f32::from(quality))
    };
    encoded.map(|file| Bytes::copy_from_slice(&file)).map_err(|_| Error::Internal("WebP"))
}

fn avif(image: DynamicImage, quality: u8) -> Result<Bytes, Error> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let encoder = ravif::Encoder::new()
        .with_quality(f32::from(quality))
        .with_alpha_quality(f32::from(quality))
        .with_speed(AVIF_SPEED)
        .with_bit_depth(ravif::BitDepth::Eight)
        .with_num_threads(Some(1));
    let encoded = if image.color().has_alpha() {
        let pixels: Vec<RGBA8> =
            image.into_rgba8().pixels().map(|p| RGBA8::new(p.0[0], p.0[1], p.0[2], p.0[3])).collect();
        encoder.encode_rgba(Img::new(&pixels, width, height))
    } else {
        let pixels: Vec<RGB8> =
            image.into_rgb8().pixels().map(|p| RGB8::new(p.0[0], p.0[1], p.0[2])).collect();
        encoder.encode_rgb(Img::new(&pixels, width, height))
    };
    encoded.map(|image| image.avif_file.into()).map_err(|_| Error::Internal("AVIF"))
}
