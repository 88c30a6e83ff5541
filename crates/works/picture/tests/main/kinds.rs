//! Every kind that is read, every format that is written.

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use picture::{Error, Format, Kind, Options};

use crate::samples::{self, KINDS};

#[tokio::test]
async fn every_kind_is_told_by_its_bytes_and_made_smaller() {
    let image = samples::halves(40, 20);
    for kind in KINDS {
        let source = samples::of_kind(kind, &image);
        assert_eq!(Kind::of(&source), Some(kind));
        let options = Options { width: Some(20), ..Options::default() };
        let rendered = samples::render(source, &options).await.expect("renders");
        let expected = match kind {
            Kind::Jpeg | Kind::Bmp | Kind::Tiff => "image/jpeg",
            Kind::Png | Kind::Ico => "image/png",
            Kind::Gif => "image/gif",
            Kind::Webp => "image/webp",
        };
        assert_eq!(rendered.content_type, expected, "{kind:?}");
        let seen = image::load_from_memory(&rendered.bytes).expect("decodes");
        assert_eq!((seen.width(), seen.height()), (20, 10), "{kind:?}");
        assert_eq!(
            (samples::colour(&seen, 2, 5), samples::colour(&seen, 17, 5)),
            ("red", "blue"),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn every_format_is_written() {
    let source = samples::file(&samples::halves(64, 32), ImageFormat::Png);
    for (format, guessed) in [
        (Format::Jpeg, ImageFormat::Jpeg),
        (Format::Png, ImageFormat::Png),
        (Format::Gif, ImageFormat::Gif),
        (Format::Webp, ImageFormat::WebP),
        (Format::Avif, ImageFormat::Avif),
    ] {
        let options = Options { height: Some(16), format: Some(format), ..Options::default() };
        let rendered = samples::render(source.clone(), &options).await.expect("renders");
        assert_eq!(rendered.content_type, format.content_type());
        assert_eq!(image::guess_format(&rendered.bytes).ok(), Some(guessed));
        if format == Format::Avif {
            // No decoder here: the size stands in the box `ispe`.
            let at = rendered.bytes.windows(4).position(|w| w == b"ispe").expect("a size") + 8;
            assert_eq!(rendered.bytes[at..at + 8], [0, 0, 0, 32, 0, 0, 0, 16]);
        } else {
            let seen = image::load_from_memory(&rendered.bytes).expect("decodes");
            assert_eq!((seen.width(), seen.height()), (32, 16));
        }
    }
}

#[tokio::test]
async fn the_smallest_picture_is_written_in_every_format() {
    let source = samples::file(&samples::halves(1, 1), ImageFormat::Png);
    for format in [Format::Jpeg, Format::Png, Format::Gif, Format::Webp, Format::Avif] {
        let options = Options { width: Some(1), height: Some(1), format: Some(format), ..Options::default() };
        assert!(samples::render(source.clone(), &options).await.is_ok(), "{format:?}");
    }
}

#[tokio::test]
async fn quality_makes_a_difference() {
    let noise = |x: u32, y: u32| Rgba([(x * 37 + y * 91) as u8, (x * y) as u8, (x ^ y) as u8, 255]);
    let source =
        samples::file(&DynamicImage::ImageRgba8(RgbaImage::from_fn(64, 64, noise)), ImageFormat::Png);
    for format in [Format::Jpeg, Format::Webp, Format::Avif] {
        let mut sizes = Vec::new();
        for quality in [Some(20), None, Some(100)] {
            let options = Options { quality, format: Some(format), ..Options::default() };
            sizes.push(samples::render(source.clone(), &options).await.expect("renders").bytes.len());
        }
        assert!(sizes[0] < sizes[1] && sizes[1] < sizes[2], "{format:?}: {sizes:?}");
    }
}

#[tokio::test]
async fn transparency_stays_and_becomes_white_in_jpeg() {
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(16, 16, Rgba([255, 0, 0, 0])));
    let source = samples::file(&clear, ImageFormat::Png);
    let options = |format| Options { width: Some(8), format: Some(format), ..Options::default() };
    for format in [Format::Png, Format::Gif, Format::Webp] {
        let seen = samples::seen(source.clone(), &options(format)).await;
        assert_eq!(seen.to_rgba8().get_pixel(4, 4).0[3], 0, "{format:?}");
    }
    let jpeg = samples::seen(source, &options(Format::Jpeg)).await;
    assert_eq!(samples::colour(&jpeg, 4, 4), "white");
}

#[tokio::test]
async fn a_png_with_wrong_checksums_is_read() {
    let mut source = samples::file(&samples::halves(1, 1), ImageFormat::Png);
    let data = source.windows(4).position(|w| w == b"IDAT").expect("data");
    let length = u32::from_be_bytes(source[data - 4..data].try_into().expect("four")) as usize;
    for byte in &mut source[data + 4 + length..data + 8 + length] {
        *byte ^= 0xff;
    }
    assert!(image::load_from_memory(&source).is_err(), "others are strict");
    let seen = samples::seen(source, &Options::default()).await;
    assert_eq!((seen.width(), seen.height()), (1, 1));
}

#[tokio::test]
async fn what_is_no_picture_is_invalid() {
    let heif = [0, 0, 0, 16, b'f', b't', b'y', b'p', b'm', b'i', b'f', b'1', 0, 0, 0, 0];
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    for source in [&heif[..], b"", b"not an image", svg, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"] {
        assert_eq!(
            samples::render(source.to_vec(), &Options::default()).await,
            Err(Error::Invalid),
            "{source:?}"
        );
    }
}
