//! Where in a picture most is to be seen: edges and strong colours, on a small copy.

use crate::pixels::Pixels;

/// The longest side of the small copy.
pub(crate) const SMALL: u32 = 96;

/// The window of `window` shares of the picture that shows most, as shares of what could be moved (0–1 each).
pub(crate) fn best(small: &Pixels, window: (f64, f64)) -> (f64, f64) {
    let (width, height) = (small.width as usize, small.height as usize);
    let across = shares(width, window.0);
    let down = shares(height, window.1);
    let sums = Sums::of(&interest(small), width, height);
    let mut best = (f64::MIN, 0, 0);
    for top in 0..=height - down {
        for left in 0..=width - across {
            // Of equal windows the one nearest to the middle wins.
            let aside = |at: usize, room: usize| (at as f64 - room as f64 / 2.0).abs();
            let tie = (aside(left, width - across) + aside(top, height - down)) * 1e-6;
            let value = sums.window(left, top, across, down) - tie;
            if value > best.0 {
                best = (value, left, top);
            }
        }
    }
    let part = |at: usize, room: usize| if room == 0 { 0.5 } else { at as f64 / room as f64 };
    (part(best.1, width - across), part(best.2, height - down))
}

fn shares(length: usize, share: f64) -> usize {
    ((length as f64 * share).round() as usize).clamp(1, length)
}

/// How interesting each pixel is: differences of brightness to its neighbours, and saturation.
fn interest(small: &Pixels) -> Vec<f64> {
    let (width, height, channels) =
        (small.width as usize, small.height as usize, usize::from(small.channels));
    let at = |x: usize, y: usize| &small.data[(y * width + x) * channels..][..channels];
    let light = |x: usize, y: usize| {
        let pixel = at(x, y);
        let seen = if small.alpha() { f64::from(pixel[channels - 1]) / 255.0 } else { 1.0 };
        seen * match channels {
            1 | 2 => f64::from(pixel[0]),
            _ => 0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2]),
        }
    };
    let mut map = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let here = light(x, y);
            let right = light((x + 1).min(width - 1), y);
            let below = light(x, (y + 1).min(height - 1));
            let edge = (here - right).abs() + (here - below).abs();
            let saturation = if channels >= 3 {
                let pixel = &at(x, y)[..3];
                let (most, least) = (pixel.iter().max(), pixel.iter().min());
                f64::from(most.copied().unwrap_or(0) - least.copied().unwrap_or(0))
            } else {
                0.0
            };
            map.push(edge + saturation * 0.25);
        }
    }
    map
}

/// Sums over rectangles in constant time.
struct Sums {
    width: usize,
    sums: Vec<f64>,
}

impl Sums {
    fn of(map: &[f64], width: usize, height: usize) -> Self {
        let stride = width + 1;
        let mut sums = vec![0.0; stride * (height + 1)];
        for y in 0..height {
            let mut row = 0.0;
            for x in 0..width {
                row += map[y * width + x];
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
            }
        }
        Self { width: stride, sums }
    }

    fn window(&self, left: usize, top: usize, across: usize, down: usize) -> f64 {
        let at = |x: usize, y: usize| self.sums[y * self.width + x];
        at(left + across, top + down) - at(left, top + down) - at(left + across, top) + at(left, top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_with_the_detail_wins() {
        let (width, height) = (40, 20);
        let mut data = vec![128; width * height];
        for y in 0..height {
            for x in 30..38 {
                data[y * width + x] = if (x + y) % 2 == 0 { 0 } else { 255 };
            }
        }
        let small = Pixels { width: width as u32, height: height as u32, channels: 1, data };
        assert!(best(&small, (0.5, 1.0)).0 > 0.85);
        let plain = Pixels { width: 40, height: 20, channels: 1, data: vec![7; 800] };
        assert_eq!(best(&plain, (0.5, 1.0)), (0.5, 0.5));
    }
}
