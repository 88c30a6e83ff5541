//! Sizes, cuts and turns, judged by the pixels.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use picture::{Compass, Error, Excess, Format, Gravity, Options, Resize};

use crate::samples;

fn boxed(width: u32, height: u32) -> Options {
    Options { width: Some(width), height: Some(height), format: Some(Format::Png), ..Options::default() }
}

#[tokio::test]
async fn cover_keeps_what_gravity_says() {
    let source = samples::file(&samples::halves(80, 40), ImageFormat::Png);
    for (gravity, expected) in [
        (Gravity::Side(Compass::West, 0.0, 0.0), ["red", "red"]),
        (Gravity::Side(Compass::SouthEast, 0.0, 0.0), ["blue", "blue"]),
        (Gravity::default(), ["red", "blue"]),
        (Gravity::Focus(0.0, 1.0), ["red", "red"]),
        (Gravity::Focus(1.0, 0.0), ["blue", "blue"]),
        (Gravity::Smart, ["red", "blue"]),
    ] {
        let seen = samples::seen(source.clone(), &Options { gravity, ..boxed(10, 20) }).await;
        assert_eq!((seen.width(), seen.height()), (10, 20));
        assert_eq!([samples::colour(&seen, 1, 10), samples::colour(&seen, 8, 10)], expected, "{gravity:?}");
    }
}

#[tokio::test]
async fn contain_and_fill() {
    let source = samples::file(&samples::halves(80, 40), ImageFormat::Png);
    for (resize, size) in [(Resize::Contain, (20, 10)), (Resize::Fill, (20, 20))] {
        let seen = samples::seen(source.clone(), &Options { resize, ..boxed(20, 20) }).await;
        assert_eq!((seen.width(), seen.height()), size);
        assert_eq!([samples::colour(&seen, 2, 5), samples::colour(&seen, 17, 5)], ["red", "blue"]);
    }
}

/// A JPEG with a camera's note of its orientation.
fn noted(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let jpeg = samples::file(image, ImageFormat::Jpeg);
    let mut note = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    note.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    let length = (note.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &note, &jpeg[2..]].concat()
}

#[tokio::test]
async fn a_camera_s_orientation_is_applied() {
    // Red on the left. Turned by 90° to the right, red is on top; by 270°, below.
    let image = samples::halves(80, 40);
    for (exif, size, at_red, at_blue) in [
        (1, (20, 10), (2, 5), (17, 5)),
        (2, (20, 10), (17, 5), (2, 5)),
        (3, (20, 10), (17, 5), (2, 5)),
        (4, (20, 10), (2, 5), (17, 5)),
        (5, (10, 20), (5, 2), (5, 17)),
        (6, (10, 20), (5, 2), (5, 17)),
        (7, (10, 20), (5, 17), (5, 2)),
        (8, (10, 20), (5, 17), (5, 2)),
    ] {
        let options = Options { resize: Resize::Contain, ..boxed(20, 20) };
        let seen = samples::seen(noted(&image, exif), &options).await;
        assert_eq!((seen.width(), seen.height()), size, "exif {exif}");
        assert_eq!(samples::colour(&seen, at_red.0, at_red.1), "red", "exif {exif}");
        assert_eq!(samples::colour(&seen, at_blue.0, at_blue.1), "blue", "exif {exif}");
    }
    let top = Options { gravity: Gravity::Side(Compass::North, 0.0, 0.0), ..boxed(20, 20) };
    let seen = samples::seen(noted(&image, 6), &top).await;
    assert_eq!([samples::colour(&seen, 10, 1), samples::colour(&seen, 10, 18)], ["red", "red"]);
}

#[tokio::test]
async fn smart_gravity_finds_the_detail() {
    let detail = |x: u32, y: u32| {
        if x > 150 && (x / 4 + y / 4).is_multiple_of(2) { Rgb([0, 0, 255]) } else { Rgb([250, 250, 250]) }
    };
    let source =
        samples::file(&DynamicImage::ImageRgb8(RgbImage::from_fn(200, 50, detail)), ImageFormat::Png);
    let seen = samples::seen(source, &Options { gravity: Gravity::Smart, ..boxed(50, 50) }).await;
    assert!(seen.to_rgb8().pixels().filter(|p| p.0[0] < 100).count() > 500);
}

#[tokio::test]
async fn nothing_is_enlarged_and_open_sides_are_bounded() {
    let small = samples::file(&samples::halves(8, 4), ImageFormat::Png);
    let seen = samples::seen(small, &Options { width: Some(100), ..Options::default() }).await;
    assert_eq!((seen.width(), seen.height()), (8, 4));
    let wide = samples::file(&samples::halves(6000, 30), ImageFormat::Png);
    let seen = samples::seen(wide.clone(), &Options::default()).await;
    assert_eq!((seen.width(), seen.height()), (3000, 15));
    let limited = Options { max_pixels: Some(100_000), ..Options::default() };
    assert_eq!(samples::render(wide, &limited).await, Err(Error::TooLarge(Excess::Pixels)));
}
