//! One picture from source to result, on the thread that calls.

use fast_image_resize::images::Image;
use fast_image_resize::{MulDiv, ResizeOptions, Resizer};
use image::DynamicImage;
use image::metadata::Orientation;

use crate::decode::decode;
use crate::demand::Goal;
use crate::encode::encode;
use crate::geometry::{self, Sizes};
use crate::limits::Admission;
use crate::options::{Gravity, Options};
use crate::orient::{self, Rect};
use crate::pixels::{Decoded, Pixels};
use crate::{Error, Excess, Kind, Rendered, colour, saliency};

/// Renders. `going` is asked between the stages whether anybody still waits for the result.
pub(crate) fn render(
    source: &[u8],
    options: &Options,
    admission: &mut Admission<'_>,
    going: &dyn Fn() -> bool,
) -> Result<Rendered, Error> {
    if source.len() as u64 > admission.limits.source_bytes {
        return Err(Error::TooLarge(Excess::Bytes));
    }
    if let Some(pixels) = options.max_pixels {
        admission.limits.pixels = admission.limits.pixels.min(pixels);
    }
    let kind = Kind::of(source).ok_or(Error::Invalid)?;
    let formats = [true, false].map(|alpha| options.format.unwrap_or_else(|| kind.natural(alpha)));
    admission.goal = Some(Goal { options: *options, formats, source: source.len() as u64 });
    let mut decoded = decode(source, kind, admission)?;
    let profile = decoded.profile.take();
    go_on(going)?;
    let format = options.format.unwrap_or_else(|| kind.natural(decoded.pixels.alpha()));
    let stored = (decoded.pixels.width, decoded.pixels.height);
    let shown = orient::shown(stored, decoded.orientation);
    let sizes = geometry::sizes(shown, options, &admission.limits, format);
    let mut image = resize(decoded, &sizes, options.gravity)?;
    if let Some(profile) = profile {
        image = colour::to_srgb(image, &profile);
    }
    go_on(going)?;
    let bytes = encode(image, format, options.quality.unwrap_or_else(|| format.quality()))?;
    Ok(Rendered { bytes, content_type: format.content_type() })
}

fn go_on(going: &dyn Fn() -> bool) -> Result<(), Error> {
    if going() { Ok(()) } else { Err(Error::Timeout) }
}

/// Cuts, scales and turns.
fn resize(decoded: Decoded, sizes: &Sizes, gravity: Gravity) -> Result<DynamicImage, Error> {
    let Decoded { pixels, orientation, .. } = decoded;
    let stored = (pixels.width, pixels.height);
    let shown = orient::shown(stored, orientation);
    if sizes.result == shown {
        return turned(pixels, orientation);
    }
    let alpha = pixels.alpha();
    let pixel_type = pixels.pixel_type();
    let channels = pixels.channels;
    let mut source = Image::from_vec_u8(stored.0, stored.1, pixels.data, pixel_type)
        .map_err(|_| Error::Internal("pixels"))?;
    if alpha {
        // In place, so that no second copy of the source is needed; undone on the small result.
        MulDiv::new().multiply_alpha_inplace(&mut source).map_err(|_| Error::Internal("alpha"))?;
    }
    let at = match gravity {
        Gravity::Smart if sizes.result != sizes.scaled => smart(&source, channels, orientation, sizes)?,
        other => geometry::place(sizes, other),
    };
    let under = geometry::under(shown, sizes, at);
    let cut = orient::stored(under, stored, orientation);
    let size = orient::shown(sizes.result, orientation); // Swapping twice is swapping back.
    let mut small = scaled(&source, cut, size)?;
    drop(source);
    if alpha {
        MulDiv::new().divide_alpha_inplace(&mut small).map_err(|_| Error::Internal("alpha"))?;
    }
    turned(Pixels { width: size.0, height: size.1, channels, data: small.into_vec() }, orientation)
}

fn turned(pixels: Pixels, orientation: Orientation) -> Result<DynamicImage, Error> {
    let mut image = pixels.into_image()?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn scaled(source: &Image<'_>, cut: Rect, size: (u32, u32)) -> Result<Image<'static>, Error> {
    let mut result = Image::new(size.0, size.1, source.pixel_type());
    let left = cut.left.max(0.0);
    let top = cut.top.max(0.0);
    let width = cut.width.min(f64::from(source.width()) - left);
    let height = cut.height.min(f64::from(source.height()) - top);
    let options = ResizeOptions::new().crop(left, top, width, height).use_alpha(false);
    Resizer::new().resize(source, &mut result, &options).map_err(|_| Error::Internal("resizing"))?;
    Ok(result)
}

/// The place that shows most, found on a small copy.
fn smart(
    source: &Image<'_>,
    channels: u8,
    orientation: Orientation,
    sizes: &Sizes,
) -> Result<(u32, u32), Error> {
    let (width, height) = (source.width(), source.height());
    let shrink = (f64::from(width.max(height)) / f64::from(saliency::SMALL)).max(1.0);
    let side = |length: u32| ((f64::from(length) / shrink).round() as u32).max(1);
    let size = (side(width), side(height));
    let whole = Rect { left: 0.0, top: 0.0, width: f64::from(width), height: f64::from(height) };
    let small = scaled(source, whole, size)?;
    let small = Pixels { width: size.0, height: size.1, channels, data: small.into_vec() };
    let small = Pixels::from_image(turned(small, orientation)?);
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
    let window = (share(sizes.result.0, sizes.scaled.0), share(sizes.result.1, sizes.scaled.1));
    let (x, y) = saliency::best(&small, window);
    let room = |part: u32, whole: u32, at: f64| (f64::from(whole - part) * at).round() as u32;
    Ok((room(sizes.result.0, sizes.scaled.0, x), room(sizes.result.1, sizes.scaled.1, y)))
}
