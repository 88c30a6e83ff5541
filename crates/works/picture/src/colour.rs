//! Colour profiles: results are sRGB, whatever the source was.
//!
//! Telephones photograph in Display P3, and a result without its profile would be pale. Turning the colours of the small
//! result costs little and works for every format.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// A longer profile is not read.
const PROFILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The picture in sRGB; a profile that cannot be used is as if it were not there.
pub(crate) fn to_srgb(image: DynamicImage, profile: &[u8]) -> DynamicImage {
    if profile.len() > PROFILE_BYTES_MAX {
        return image;
    }
    let (layout, pixels) = match &image {
        DynamicImage::ImageRgb8(image) => (Layout::Rgb, image.as_raw()),
        DynamicImage::ImageRgba8(image) => (Layout::Rgba, image.as_raw()),
        _ => return image,
    };
    let Some(turned) = turn(pixels, layout, profile) else { return image };
    let (width, height) = (image.width(), image.height());
    let turned = match layout {
        Layout::Rgb => image::RgbImage::from_raw(width, height, turned).map(DynamicImage::ImageRgb8),
        _ => image::RgbaImage::from_raw(width, height, turned).map(DynamicImage::ImageRgba8),
    };
    turned.unwrap_or(image)
}

fn turn(pixels: &[u8], layout: Layout, profile: &[u8]) -> Option<Vec<u8>> {
    let profile =
        ColorProfile::new_from_slice(profile).ok().filter(|p| p.color_space == DataColorSpace::Rgb)?;
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(layout, &srgb, layout, TransformOptions::default()).ok()?;
    let mut turned = vec![0; pixels.len()];
    transform.transform(pixels, &mut turned).ok()?;
    Some(turned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orange() -> DynamicImage {
        DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(2, 2, image::Rgba([200, 100, 50, 77])))
    }

    #[test]
    fn colours_of_a_wider_space_become_stronger() {
        let profile = ColorProfile::new_display_p3().encode().expect("a profile");
        let turned = to_srgb(orange(), &profile).to_rgba8();
        let [red, _, blue, alpha] = turned.get_pixel(1, 1).0;
        assert!(red > 204 && blue < 46, "{turned:?}");
        assert_eq!(alpha, 77);
    }

    #[test]
    fn a_profile_that_makes_no_sense_changes_nothing() {
        for profile in [&b""[..], b"nonsense", &[0; 200]] {
            assert_eq!(to_srgb(orange(), profile), orange());
        }
        let srgb = ColorProfile::new_srgb().encode().expect("a profile");
        let turned = to_srgb(orange(), &srgb).to_rgba8();
        for (turned, before) in turned.get_pixel(0, 0).0.iter().zip([200, 100, 50, 77]) {
            assert!(turned.abs_diff(before) <= 1);
        }
    }
}
