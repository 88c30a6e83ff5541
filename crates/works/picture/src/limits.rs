//! How large a picture may be, compared with what its header claims before memory is taken.

use crate::demand::{self, Goal};
use crate::{Error, Excess};

/// The longest side of a source, as of JPEG: resizing takes memory and time by the side, however short the other is.
const SIDE_MAX: u32 = 65_535;

/// Limits of one job.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest source file in bytes.
    pub source_bytes: u64,
    /// The largest source in pixels.
    pub pixels: u64,
    /// The most memory that one job may take, by estimate.
    pub memory: u64,
    /// The largest result where the request leaves the width open.
    pub open_width: u32,
    /// The largest result where the request leaves the height open.
    pub open_height: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // 25 MB and 50 megapixels are what the hosted reference allows; 3000 × 8192 is its default preset.
        Self {
            source_bytes: 25 * 1024 * 1024,
            pixels: 50_000_000,
            memory: 768 * 1024 * 1024,
            open_width: 3000,
            open_height: 8192,
        }
    }
}

/// Decides, once the header of a source is read and before pixels are, whether it is decoded.
pub(crate) struct Admission<'a> {
    pub limits: Limits,
    /// What is to become of the picture.
    pub goal: Option<Goal>,
    /// Takes memory from what all jobs share.
    pub reserve: &'a mut dyn FnMut(u64) -> Result<(), Error>,
}

impl<'a> Admission<'a> {
    /// By these limits, and for nothing yet.
    pub fn new(limits: Limits, reserve: &'a mut dyn FnMut(u64) -> Result<(), Error>) -> Self {
        Self { limits, goal: None, reserve }
    }

    /// Admits a picture of `width` × `height` that takes `bytes_per_pixel` while it is decoded.
    pub fn admit(&mut self, width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), Error> {
        self.measure(width, height)?;
        let decoding = (u64::from(width) * u64::from(height)).saturating_mul(bytes_per_pixel);
        let bytes = match &self.goal {
            Some(goal) => decoding.saturating_add(goal.source).max(demand::after_decoding(
                (width, height),
                goal,
                &self.limits,
            )),
            None => decoding,
        };
        if bytes > self.limits.memory {
            return Err(Error::TooLarge(Excess::Memory));
        }
        (self.reserve)(bytes)
    }

    /// Compares a size with the limits of pixels and sides.
    pub fn measure(&self, width: u32, height: u32) -> Result<(), Error> {
        if width == 0 || height == 0 {
            return Err(Error::Invalid);
        }
        if width.max(height) > SIDE_MAX || u64::from(width) * u64::from(height) > self.limits.pixels {
            return Err(Error::TooLarge(Excess::Pixels));
        }
        Ok(())
    }

    /// The limits as the decoders of `image` take them.
    pub fn for_image(&self) -> image::Limits {
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(self.limits.memory);
        limits
    }
}
