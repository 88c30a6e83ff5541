//! Kinds of pictures that are read and formats that are written.

use image::ImageFormat;

/// A kind of source, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JPEG.
    Jpeg,
    /// PNG, also animated (the default image is shown).
    Png,
    /// GIF (the first frame is shown).
    Gif,
    /// WebP (the first frame is shown).
    Webp,
    /// Windows bitmap.
    Bmp,
    /// Windows icon.
    Ico,
    /// TIFF (the first page is shown).
    Tiff,
}

impl Kind {
    /// The kind of a file, if it is one that can be read.
    pub fn of(source: &[u8]) -> Option<Self> {
        match image::guess_format(source).ok()? {
            ImageFormat::Jpeg => Some(Self::Jpeg),
            ImageFormat::Png => Some(Self::Png),
            ImageFormat::Gif => Some(Self::Gif),
            ImageFormat::WebP => Some(Self::Webp),
            ImageFormat::Bmp => Some(Self::Bmp),
            ImageFormat::Ico => Some(Self::Ico),
            ImageFormat::Tiff => Some(Self::Tiff),
            _ => None,
        }
    }

    /// What is written when nobody asks for a format: the source's own where browsers know it.
    pub(crate) fn natural(self, alpha: bool) -> Format {
        match self {
            Self::Jpeg => Format::Jpeg,
            Self::Png => Format::Png,
            Self::Gif => Format::Gif,
            Self::Webp => Format::Webp,
            Self::Bmp | Self::Ico | Self::Tiff if alpha => Format::Png,
            Self::Bmp | Self::Ico | Self::Tiff => Format::Jpeg,
        }
    }
}

/// A format that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Without transparency: that becomes white.
    Jpeg,
    /// Without loss.
    Png,
    /// One frame, 256 colours.
    Gif,
    /// With loss.
    Webp,
    /// With loss; takes many times longer than the others.
    Avif,
}

impl Format {
    /// The `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
        }
    }

    /// The quality when the request names none: the reference's settings of imgproxy.
    pub(crate) fn quality(self) -> u8 {
        match self {
            Self::Avif => 62,
            _ => 80,
        }
    }

    /// Bytes that encoding takes for each pixel of a result, with the pixels themselves; of noise, which is the worst.
    pub(crate) fn memory(self) -> u64 {
        match self {
            Self::Jpeg | Self::Gif => 16,
            Self::Png => 24,
            Self::Webp => 56,
            Self::Avif => 288,
        }
    }

    /// The longest side that the format can express.
    pub(crate) fn longest_side(self) -> u32 {
        match self {
            Self::Webp => 16_383,
            Self::Avif => 16_384,
            Self::Jpeg | Self::Gif => 65_535,
            Self::Png => u32::MAX,
        }
    }
}
