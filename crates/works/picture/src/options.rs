//! What a request asks for.

use std::fmt::Write as _;

use crate::Format;

/// What becomes of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Width of the result; open if absent.
    pub width: Option<u32>,
    /// Height of the result; open if absent.
    pub height: Option<u32>,
    /// How the picture is brought to that size.
    pub resize: Resize,
    /// What remains when something must be cut.
    pub gravity: Gravity,
    /// 1–100; the format's default if absent.
    pub quality: Option<u8>,
    /// The format of the result; the source's own if absent.
    pub format: Option<Format>,
    /// A lower limit of source pixels than the renderer's.
    pub max_pixels: Option<u64>,
}

/// How a picture is brought to a size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resize {
    /// Covers the box and is cut to it.
    #[default]
    Cover,
    /// Fits into the box.
    Contain,
    /// Is stretched to the box.
    Fill,
}

/// What remains when something must be cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gravity {
    /// A side or corner, moved inwards: by pixels from 1 on, by a share of the picture below.
    Side(Compass, f64, f64),
    /// Where most is to be seen.
    Smart,
    /// The point, in shares of width and height, becomes the centre as far as possible.
    Focus(f64, f64),
}

impl Default for Gravity {
    fn default() -> Self {
        Self::Side(Compass::Centre, 0.0, 0.0)
    }
}

/// Sides and corners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compass {
    Centre,
    North,
    South,
    East,
    West,
    NorthEast,
    NorthWest,
    SouthEast,
    SouthWest,
}

impl Options {
    /// The options as a text that is equal exactly when they are: part of the key of a cache.
    pub fn key(&self) -> String {
        let mut key = String::with_capacity(64);
        // Writing to a String cannot fail.
        let _ = write!(
            key,
            "{:?};{:?};{:?};{:?};{:?};{:?};{:?}",
            self.width, self.height, self.resize, self.gravity, self.quality, self.format, self.max_pixels
        );
        key
    }
}
