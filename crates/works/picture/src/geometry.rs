//! Sizes and places, without pixels: how large the result is and which part of the source it shows.

use crate::options::{Compass, Gravity, Options, Resize};
use crate::orient::Rect;
use crate::{Format, Limits};

/// The sizes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The whole source after scaling.
    pub scaled: (u32, u32),
    /// What of it remains: the size of the result.
    pub result: (u32, u32),
}

/// How large a source of `source` (as shown) becomes.
pub(crate) fn sizes(source: (u32, u32), options: &Options, limits: &Limits, format: Format) -> Sizes {
    let (width, height) = (options.width.filter(|w| *w > 0), options.height.filter(|h| *h > 0));
    let (source_width, source_height) = (f64::from(source.0), f64::from(source.1));
    let across = width.map(|w| source_width / f64::from(w));
    let down = height.map(|h| source_height / f64::from(h));
    let (mut x, mut y) = match (across, down) {
        (None, None) => (1.0, 1.0),
        (Some(shrink), None) | (None, Some(shrink)) => (shrink, shrink),
        (Some(x), Some(y)) => match options.resize {
            Resize::Cover => (x.min(y), x.min(y)),
            Resize::Contain => (x.max(y), x.max(y)),
            Resize::Fill => (x, y),
        },
    };
    // Nothing is enlarged. A stretched picture keeps the box's proportions instead of its size.
    let least = x.min(y);
    if least < 1.0 {
        (x, y) = (x / least, y / least);
    }
    let open_width = width.map_or(limits.open_width, |_| u32::MAX).min(format.longest_side());
    let open_height = height.map_or(limits.open_height, |_| u32::MAX).min(format.longest_side());
    let over = (source_width / x / f64::from(open_width)).max(source_height / y / f64::from(open_height));
    if over > 1.0 {
        (x, y) = (x * over, y * over);
    }
    let scaled = (side(source_width / x), side(source_height / y));
    let result = match (width, height, options.resize) {
        (Some(w), Some(h), Resize::Cover) => (w.min(scaled.0), h.min(scaled.1)),
        _ => scaled,
    };
    // What takes too much to encode is made smaller: of AVIF, that is what would take many seconds as well.
    let most = limits.memory / format.memory();
    let over = f64::from(result.0) * f64::from(result.1) / most as f64;
    if over <= 1.0 {
        return Sizes { scaled, result };
    }
    let less = |length: u32| ((f64::from(length) / over.sqrt()) as u32).max(1);
    Sizes { scaled: (less(scaled.0), less(scaled.1)), result: (less(result.0), less(result.1)) }
}

fn side(length: f64) -> u32 {
    // `as` saturates; sources are at most as wide as a u32.
    (length.round() as u32).max(1)
}

/// Where the remaining part begins in the scaled picture.
pub(crate) fn place(sizes: &Sizes, gravity: Gravity) -> (u32, u32) {
    let (width, height) = (i64::from(sizes.scaled.0), i64::from(sizes.scaled.1));
    let (inner_width, inner_height) = (i64::from(sizes.result.0), i64::from(sizes.result.1));
    let (left, top) = match gravity {
        Gravity::Focus(x, y) => (share(width, x) - inner_width / 2, share(height, y) - inner_height / 2),
        Gravity::Smart => middle(width, height, inner_width, inner_height),
        Gravity::Side(compass, x, y) => {
            let (x, y) = (offset(width, x), offset(height, y));
            let middle = middle(width, height, inner_width, inner_height);
            let left = match compass {
                Compass::West | Compass::NorthWest | Compass::SouthWest => x,
                Compass::East | Compass::NorthEast | Compass::SouthEast => {
                    (width - inner_width).saturating_sub(x)
                }
                Compass::Centre | Compass::North | Compass::South => middle.0.saturating_add(x),
            };
            let top = match compass {
                Compass::North | Compass::NorthEast | Compass::NorthWest => y,
                Compass::South | Compass::SouthEast | Compass::SouthWest => {
                    (height - inner_height).saturating_sub(y)
                }
                Compass::Centre | Compass::East | Compass::West => middle.1.saturating_add(y),
            };
            (left, top)
        }
    };
    (inside(left, width - inner_width), inside(top, height - inner_height))
}

fn middle(width: i64, height: i64, inner_width: i64, inner_height: i64) -> (i64, i64) {
    (share(width - inner_width + 1, 0.5), share(height - inner_height + 1, 0.5))
}

fn share(length: i64, share: f64) -> i64 {
    (length as f64 * share).round_ties_even() as i64
}

fn offset(length: i64, offset: f64) -> i64 {
    if offset.abs() >= 1.0 { offset.round_ties_even() as i64 } else { share(length, offset) }
}

fn inside(at: i64, last: i64) -> u32 {
    u32::try_from(at.clamp(0, last.max(0))).unwrap_or(0)
}

/// The part of a source of `source` (as shown) that lies under the result at `at`.
pub(crate) fn under(source: (u32, u32), sizes: &Sizes, at: (u32, u32)) -> Rect {
    let x = f64::from(source.0) / f64::from(sizes.scaled.0);
    let y = f64::from(source.1) / f64::from(sizes.scaled.1);
    let left = f64::from(at.0) * x;
    let top = f64::from(at.1) * y;
    Rect {
        left,
        top,
        width: (f64::from(sizes.result.0) * x).min(f64::from(source.0) - left),
        height: (f64::from(sizes.result.1) * y).min(f64::from(source.1) - top),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(source: (u32, u32), width: u32, height: u32, resize: Resize) -> Sizes {
        let options = Options { width: Some(width), height: Some(height), resize, ..Options::default() };
        sizes(source, &options, &Limits::default(), Format::Jpeg)
    }

    #[test]
    fn both_sides() {
        let of = |resize| size((400, 200), 100, 100, resize);
        assert_eq!(of(Resize::Cover), Sizes { scaled: (200, 100), result: (100, 100) });
        assert_eq!(of(Resize::Contain), Sizes { scaled: (100, 50), result: (100, 50) });
        assert_eq!(of(Resize::Fill), Sizes { scaled: (100, 100), result: (100, 100) });
    }

    #[test]
    fn one_side_keeps_the_ratio() {
        for resize in [Resize::Cover, Resize::Contain, Resize::Fill] {
            assert_eq!(size((400, 200), 100, 0, resize).result, (100, 50));
            assert_eq!(size((400, 200), 0, 50, resize).result, (100, 50));
        }
    }

    #[test]
    fn nothing_is_enlarged() {
        assert_eq!(size((100, 100), 200, 50, Resize::Cover), Sizes { scaled: (100, 100), result: (100, 50) });
        assert_eq!(size((100, 100), 300, 300, Resize::Cover).result, (100, 100));
        assert_eq!(size((100, 50), 300, 300, Resize::Contain).result, (100, 50));
        assert_eq!(size((100, 100), 200, 50, Resize::Fill).result, (100, 25));
        assert_eq!(size((100, 50), 500, 0, Resize::Cover).result, (100, 50));
    }

    #[test]
    fn an_open_side_is_bounded() {
        assert_eq!(size((6000, 3000), 0, 0, Resize::Cover).result, (3000, 1500));
        assert_eq!(size((100, 40_000), 0, 0, Resize::Cover).result, (20, 8192));
        assert_eq!(size((100, 40_000), 100, 0, Resize::Cover).result, (20, 8192));
        assert_eq!(size((1, 40_000), 1, 1, Resize::Contain).result, (1, 1));
        let tall = Limits { open_height: u32::MAX, ..Limits::default() };
        assert_eq!(sizes((2, 40_000), &Options::default(), &tall, Format::Webp).result, (1, 16_383));
    }

    #[test]
    fn what_takes_too_much_to_encode_is_made_smaller() {
        let of = |source, options: &Options| sizes(source, options, &Limits::default(), Format::Avif);
        assert_eq!(of((6000, 4000), &Options::default()).result, (2047, 1365));
        let boxed = Options { width: Some(3000), height: Some(3000), ..Options::default() };
        assert_eq!(of((6000, 4000), &boxed), Sizes { scaled: (2508, 1672), result: (1672, 1672) });
        let both = Options { width: Some(2000), height: Some(2000), ..Options::default() };
        assert_eq!(of((6000, 4000), &both).result, (1672, 1672));
        let long = Options { width: Some(u32::MAX), ..Options::default() };
        let Sizes { result: (width, height), .. } = of((60_000, 100), &long);
        assert!(width * height <= 2_796_202, "{width} × {height}");
    }

    #[test]
    fn gravity_says_what_remains() {
        let sizes = Sizes { scaled: (200, 100), result: (100, 50) };
        let at = |compass, x, y| place(&sizes, Gravity::Side(compass, x, y));
        assert_eq!(at(Compass::Centre, 0.0, 0.0), (50, 26)); // half of 51 goes to the even side
        assert_eq!(at(Compass::North, 0.0, 0.0), (50, 0));
        assert_eq!(at(Compass::South, 0.0, 0.0), (50, 50));
        assert_eq!(at(Compass::East, 0.0, 0.0).0, 100);
        assert_eq!(at(Compass::West, 0.0, 0.0).0, 0);
        assert_eq!(at(Compass::NorthEast, 0.0, 0.0), (100, 0));
        assert_eq!(at(Compass::NorthWest, 0.0, 0.0), (0, 0));
        assert_eq!(at(Compass::SouthEast, 0.0, 0.0), (100, 50));
        assert_eq!(at(Compass::SouthWest, 0.0, 0.0), (0, 50));
        assert_eq!(at(Compass::SouthEast, 10.0, 0.1), (90, 40));
        assert_eq!(at(Compass::NorthWest, -10.0, 999.0), (0, 50));
        assert_eq!(at(Compass::SouthEast, -1e300, -1e300), (100, 50));
        assert_eq!(at(Compass::Centre, 1e300, -1e300), (100, 0));
        assert_eq!(place(&sizes, Gravity::Focus(0.0, 1.0)), (0, 50));
        assert_eq!(place(&sizes, Gravity::Focus(0.5, 0.5)), (50, 25));
    }
}
