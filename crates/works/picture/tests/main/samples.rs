//! Pictures made here, and how to look at results.

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use picture::{Error, Kind, Options, Rendered, Renderer, Settings};

pub const KINDS: [Kind; 7] = [Kind::Jpeg, Kind::Png, Kind::Gif, Kind::Webp, Kind::Bmp, Kind::Ico, Kind::Tiff];

/// Red on the left, blue on the right.
pub fn halves(width: u32, height: u32) -> DynamicImage {
    let pixel = |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
}

pub fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let image =
        if format == ImageFormat::Ico { DynamicImage::ImageRgba8(image.to_rgba8()) } else { image.clone() };
    image.write_to(&mut file, format).expect("encodes");
    file.into_inner()
}

pub fn of_kind(kind: Kind, image: &DynamicImage) -> Vec<u8> {
    let format = match kind {
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Png => ImageFormat::Png,
        Kind::Gif => ImageFormat::Gif,
        Kind::Webp => ImageFormat::WebP,
        Kind::Bmp => ImageFormat::Bmp,
        Kind::Ico => ImageFormat::Ico,
        Kind::Tiff => ImageFormat::Tiff,
    };
    file(image, format)
}

pub fn renderer() -> Renderer {
    Renderer::new(Settings { time_limit: Duration::from_secs(120), ..Settings::default() })
}

pub async fn render(source: impl Into<Bytes>, options: &Options) -> Result<Rendered, Error> {
    renderer().render("owner", source.into(), options).await
}

/// Renders what must succeed and decodes the result.
pub async fn seen(source: impl Into<Bytes>, options: &Options) -> DynamicImage {
    let rendered = render(source, options).await.expect("renders");
    image::load_from_memory(&rendered.bytes).expect("decodes")
}

/// The colour of a pixel in words.
pub fn colour(image: &DynamicImage, x: u32, y: u32) -> &'static str {
    let [red, green, blue] = image.to_rgb8().get_pixel(x, y).0;
    match (red > 200, green > 200, blue > 200) {
        (true, true, true) => "white",
        (true, false, false) => "red",
        (false, false, true) => "blue",
        _ => "other",
    }
}

/// A PNG chunk; its checksum is wrong, which must not matter.
pub fn png_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[..], name, body, &[1, 2, 3, 4]].concat()
}

/// A RIFF chunk as in WebP.
pub fn riff_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = [&name[..], &(body.len() as u32).to_le_bytes(), body].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

pub fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff_chunk(b"RIFF", &[&b"WEBP"[..], &chunks.concat()].concat())
}
