//! How much memory a job takes at its largest: while it decodes, scales, turns or encodes.
//!
//! Everything about it is known once the header of a source is read, and is asked for at once, so that no job stops in its
//! middle to wait for more. The numbers are bounds of what the libraries do; a test compares them with what processes
//! really took.

use crate::geometry;
use crate::options::{Gravity, Options};
use crate::{Format, Limits, saliency};

/// What is to become of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub options: Options,
    /// The formats that it may become: whether there is transparency is not known yet.
    pub formats: [Format; 2],
    /// How long the source is: decoders may keep a copy.
    pub source: u64,
}

/// Bytes of a pixel at most: the sources are brought to 8 bits a channel.
const PIXEL: u64 = 4;

/// The most that is taken after a source of `stored` was decoded. Whether it is to be turned is not known yet.
pub(crate) fn after_decoding(stored: (u32, u32), goal: &Goal, limits: &Limits) -> u64 {
    let turned = (stored.1, stored.0);
    let mut most = 0;
    for format in goal.formats {
        let upright = geometry::sizes(stored, &goal.options, limits, format);
        let lying = geometry::sizes(turned, &goal.options, limits, format);
        for (scaled, result) in
            [(upright.scaled, upright.result), (swapped(lying.scaled), swapped(lying.result))]
        {
            let smart = if goal.options.gravity == Gravity::Smart {
                let small = (stored.0.min(saliency::SMALL), stored.1.min(saliency::SMALL));
                scaling(stored, small, small)
            } else {
                0
            };
            most = most.max(scaling(stored, scaled, result)).max(smart).max(encoding(area(result), format));
        }
    }
    most
}

fn swapped((width, height): (u32, u32)) -> (u32, u32) {
    (height, width)
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The source, the result, a picture between them that is as wide as the one and as high as the other, and the weights.
fn scaling(source: (u32, u32), scaled: (u32, u32), result: (u32, u32)) -> u64 {
    let between = u64::from(source.0) * u64::from(result.1);
    let weights = weights(source.0, scaled.0, result.0) + weights(source.1, scaled.1, result.1);
    (area(source) + between + area(result)) * PIXEL + weights
}

/// The weights of one side: for every pixel of the result those of the pixels around its place in the source, three times
/// the scale to either side, as f64 and again as i16.
fn weights(source: u32, scaled: u32, result: u32) -> u64 {
    let scale = u64::from(source.div_ceil(scaled.max(1)));
    let window = 6 * scale + 3;
    u64::from(result) * (window * 10 + 64)
}

/// The result before and after it was turned or its colours were, and what its encoder takes.
fn encoding(pixels: u64, format: Format) -> u64 {
    pixels * format.memory()
}

#[cfg(test)]
mod tests;
