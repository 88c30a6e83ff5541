//! Decoded pixels: 8 bits a channel, one to four channels.

use fast_image_resize::PixelType;
use image::DynamicImage;
use image::metadata::Orientation;

use crate::Error;

/// Pixels as a decoder left them.
pub(crate) struct Pixels {
    pub width: u32,
    pub height: u32,
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    pub channels: u8,
    pub data: Vec<u8>,
}

/// A decoded source: its pixels, how they are to be turned, and what their colours mean.
pub(crate) struct Decoded {
    pub pixels: Pixels,
    pub orientation: Orientation,
    /// An ICC profile.
    pub profile: Option<Vec<u8>>,
}

impl Pixels {
    /// Takes over what `image` decoded; deeper channels are made 8 bits.
    pub fn from_image(image: DynamicImage) -> Self {
        let (width, height) = (image.width(), image.height());
        let (channels, data) = match image {
            DynamicImage::ImageLuma8(i) => (1, i.into_raw()),
            DynamicImage::ImageLumaA8(i) => (2, i.into_raw()),
            DynamicImage::ImageRgb8(i) => (3, i.into_raw()),
            DynamicImage::ImageRgba8(i) => (4, i.into_raw()),
            deep if deep.color().has_alpha() => (4, deep.into_rgba8().into_raw()),
            deep => (3, deep.into_rgb8().into_raw()),
        };
        Self { width, height, channels, data }
    }

    /// Hands the pixels to `image`.
    pub fn into_image(self) -> Result<DynamicImage, Error> {
        let Self { width, height, channels, data } = self;
        let image = match channels {
            1 => image::GrayImage::from_raw(width, height, data).map(DynamicImage::ImageLuma8),
            2 => image::GrayAlphaImage::from_raw(width, height, data).map(DynamicImage::ImageLumaA8),
            3 => image::RgbImage::from_raw(width, height, data).map(DynamicImage::ImageRgb8),
            _ => image::RgbaImage::from_raw(width, height, data).map(DynamicImage::ImageRgba8),
        };
        image.ok_or(Error::Internal("pixels do not match their size"))
    }

    pub fn alpha(&self) -> bool {
        self.channels.is_multiple_of(2)
    }

    pub fn pixel_type(&self) -> PixelType {
        match self.channels {
            1 => PixelType::U8,
            2 => PixelType::U8x2,
            3 => PixelType::U8x3,
            _ => PixelType::U8x4,
        }
    }
}
