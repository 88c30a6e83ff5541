//! Rectangles of the picture as it is shown, found in the picture as it is stored.
//!
//! Cameras store what their sensor saw and note how to turn it. The small result is turned, not the large source; so
//! what is to be cut out must be known in the source's own coordinates.

use image::metadata::Orientation;

/// A rectangle, in pixels or shares of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Whether width and height change places.
pub(crate) fn swaps(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The size as shown of a picture stored as `size`.
pub(crate) fn shown(size: (u32, u32), orientation: Orientation) -> (u32, u32) {
    if swaps(orientation) { (size.1, size.0) } else { size }
}

/// Where `rect` of the shown picture lies in the stored one of `size`.
pub(crate) fn stored(rect: Rect, size: (u32, u32), orientation: Orientation) -> Rect {
    let (w, h) = (f64::from(size.0), f64::from(size.1));
    let from_right = w - rect.left - rect.width;
    let from_bottom = h - rect.top - rect.height;
    let (left, top) = match orientation {
        Orientation::NoTransforms => (rect.left, rect.top),
        Orientation::FlipHorizontal => (from_right, rect.top),
        Orientation::FlipVertical => (rect.left, from_bottom),
        Orientation::Rotate180 => (from_right, from_bottom),
        Orientation::Rotate90 => (rect.top, h - rect.left - rect.width),
        Orientation::Rotate270 => (w - rect.top - rect.height, rect.left),
        Orientation::Rotate90FlipH => (rect.top, rect.left),
        Orientation::Rotate270FlipH => (w - rect.top - rect.height, h - rect.left - rect.width),
    };
    let (width, height) =
        if swaps(orientation) { (rect.height, rect.width) } else { (rect.width, rect.height) };
    Rect { left, top, width, height }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayImage, Luma};

    use super::*;

    /// Cutting the stored picture and turning the piece gives the piece of the turned picture.
    #[test]
    fn a_piece_is_found_in_every_orientation() {
        let mut image = GrayImage::new(7, 5);
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            *pixel = Luma([(y * 7 + x) as u8]);
        }
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).expect("1 to 8");
            let mut whole = DynamicImage::ImageLuma8(image.clone());
            whole.apply_orientation(orientation);
            assert_eq!((whole.width(), whole.height()), shown((7, 5), orientation));
            let rect = Rect { left: 1.0, top: 2.0, width: 3.0, height: 2.0 };
            let at = stored(rect, (7, 5), orientation);
            let mut piece = DynamicImage::ImageLuma8(image.clone()).crop_imm(
                at.left as u32,
                at.top as u32,
                at.width as u32,
                at.height as u32,
            );
            piece.apply_orientation(orientation);
            assert_eq!(piece, whole.crop_imm(1, 2, 3, 2), "exif {exif}");
        }
    }
}
