//! What is wanted of a picture: in a query or a body, in a token, in a header, and for the renderer.

use crate::refusal::{Outcome, Refusal};
use crate::schema_check::Fields;
use crate::settings::ImageSettings;
use picture::{Compass, Format, Gravity, Options, Resize};
use serde_json::{Map, Value};
use std::fmt::Write as _;

const RESIZES: [(&str, Resize, &str); 3] =
    [("cover", Resize::Cover, "fill"), ("contain", Resize::Contain, "fit"), ("fill", Resize::Fill, "force")];
const FORMATS: [(&str, Asked); 3] =
    [("origin", Asked::Origin), ("avif", Asked::Format(Format::Avif)), ("webp", Asked::Format(Format::Webp))];
const GRAVITIES: [(&str, Pull); 11] = [
    ("no", Pull::Side(Compass::North)),
    ("so", Pull::Side(Compass::South)),
    ("ea", Pull::Side(Compass::East)),
    ("we", Pull::Side(Compass::West)),
    ("noea", Pull::Side(Compass::NorthEast)),
    ("nowe", Pull::Side(Compass::NorthWest)),
    ("soea", Pull::Side(Compass::SouthEast)),
    ("sowe", Pull::Side(Compass::SouthWest)),
    ("ce", Pull::Side(Compass::Centre)),
    ("sm", Pull::Smart),
    ("fp", Pull::Focus),
];

/// A format as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// That of the source.
    Origin,
    Format(Format),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pull {
    Side(Compass),
    Smart,
    Focus,
}

/// What is wanted of a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Transform {
    width: Option<u32>,
    height: Option<u32>,
    resize: Option<Resize>,
    quality: Option<u8>,
    pub(crate) format: Option<Asked>,
    gravity: Option<Pull>,
    x: Option<f64>,
    y: Option<f64>,
}

impl Transform {
    /// Whether no other format is asked for than that of the source.
    pub(crate) fn keeps_format(&self) -> bool {
        matches!(self.format, None | Some(Asked::Origin))
    }

    /// From the query of a request; other parameters do not matter.
    pub(crate) fn of_query(query: &[(String, String)], images: &ImageSettings) -> Outcome<Transform> {
        Transform::of_fields(Fields::of_query(query), images)
    }

    /// From the member `transform` of a body.
    pub(crate) fn of_body(members: Map<String, Value>, images: &ImageSettings) -> Outcome<Transform> {
        Transform::of_fields(Fields::new("body/transform", members), images)
    }

    fn of_fields(mut fields: Fields, images: &ImageSettings) -> Outcome<Transform> {
        let side = |number: i64| Some(u32::try_from(number).unwrap_or(u32::MAX)).filter(|side| *side > 0);
        let mut wanted = Transform {
            height: fields.integer("height", 0).and_then(side),
            width: fields.integer("width", 0).and_then(side),
            ..Transform::default()
        };
        wanted.resize = one_of(&mut fields, "resize", RESIZES.map(|(word, resize, _)| (word, resize)));
        wanted.format = one_of(&mut fields, "format", FORMATS);
        if let Some(quality) = fields.integer("quality", 20) {
            if quality > 100 {
                fields.wrong("quality", "must be <= 100");
            }
            wanted.quality = u8::try_from(quality).ok();
        }
        wanted.gravity = one_of(&mut fields, "gravity", GRAVITIES);
        let given = (fields.has("x_offset"), fields.has("y_offset"));
        wanted.x = fields.number("x_offset");
        wanted.y = fields.number("y_offset");
        if wanted.gravity == Some(Pull::Focus) {
            check_focus(&mut fields, given, &wanted);
        }
        fields.finish()?;
        wanted.clamp(images);
        Ok(wanted)
    }

    /// From a token: `width:100,resize:cover`, and the format again by itself. What makes no sense there is left out,
    /// as in the reference (which writes `resize:undefined` when none was given).
    pub(crate) fn of_claim(text: &str, format: &str, images: &ImageSettings) -> Outcome<Transform> {
        let mut wanted = Transform { format: word(&FORMATS, format), ..Transform::default() };
        for part in text.split(',') {
            let mut pieces = part.split(':');
            let (Some(name), Some(value)) = (pieces.next(), pieces.next()) else { continue };
            match name {
                "height" => wanted.height = leading_number(value),
                "width" => wanted.width = leading_number(value),
                "resize" => wanted.resize = word(&RESIZES.map(|(word, resize, _)| (word, resize)), value),
                "format" => wanted.format = word(&FORMATS, value),
                "quality" => {
                    wanted.quality =
                        leading_number(value).map(|quality| u8::try_from(quality).unwrap_or(100).min(100));
                }
                "gravity" => {
                    wanted.gravity = word(&GRAVITIES, value);
                    let mut offset = || pieces.next()?.parse().ok().filter(|offset: &f64| offset.is_finite());
                    (wanted.x, wanted.y) = (offset(), offset());
                }
                _ => {}
            }
        }
        if wanted.gravity == Some(Pull::Focus) && !(in_picture(wanted.x) && in_picture(wanted.y)) {
            let message = "Focal point requires x and y coordinates within 0-1 range";
            return Err(Refusal::new(400, "InvalidParameter", message));
        }
        wanted.clamp(images);
        Ok(wanted)
    }

    fn clamp(&mut self, images: &ImageSettings) {
        for side in [&mut self.width, &mut self.height] {
            *side = side.filter(|length| *length > 0).map(|length| length.min(images.side_max));
        }
    }

    /// As the header `X-Transformations` has it.
    pub(crate) fn header(&self) -> String {
        self.text("resizing_type", |resize| {
            RESIZES.iter().find(|(_, mode, _)| *mode == resize.unwrap_or_default()).map(|(_, _, name)| *name)
        })
    }

    /// As a token has it.
    pub(crate) fn claim(&self) -> String {
        self.text("resize", |resize| {
            RESIZES.iter().find(|(_, mode, _)| Some(*mode) == resize).map(|(name, _, _)| *name)
        })
    }

    /// The format by itself, as a token has it.
    pub(crate) fn format_word(&self) -> Option<&'static str> {
        FORMATS.iter().find(|(_, format)| Some(*format) == self.format).map(|(word, _)| *word)
    }

    fn text(&self, resize: &str, mode: impl Fn(Option<Resize>) -> Option<&'static str>) -> String {
        let mut text = String::new();
        let mut add = |part: std::fmt::Arguments<'_>| {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{part}");
        };
        if let Some(height) = self.height {
            add(format_args!("height:{height}"));
        }
        if let Some(width) = self.width {
            add(format_args!("width:{width}"));
        }
        if let Some(mode) = mode(self.resize).filter(|_| self.width.is_some() || self.height.is_some()) {
            add(format_args!("{resize}:{mode}"));
        }
        if let Some(quality) = self.quality {
            add(format_args!("quality:{quality}"));
        }
        if let Some(word) = self.format_word().filter(|_| self.format != Some(Asked::Origin)) {
            add(format_args!("format:{word}"));
        }
        let gravity = GRAVITIES.iter().find(|(_, pull)| Some(*pull) == self.gravity);
        match (gravity, self.x, self.y) {
            (Some((word, Pull::Smart)), _, _) | (Some((word, _)), None, None) => {
                add(format_args!("gravity:{word}"))
            }
            (Some((word, _)), x, y) => {
                add(format_args!("gravity:{word}:{}:{}", x.unwrap_or_default(), y.unwrap_or_default()));
            }
            (None, _, _) => {}
        }
        text
    }

    /// As the renderer takes it; `accepted` is the format that the client would like when none was asked for.
    pub(crate) fn options(&self, accepted: Option<Format>, pixels_max: Option<u64>) -> Options {
        let (x, y) = (self.x.unwrap_or_default(), self.y.unwrap_or_default());
        Options {
            width: self.width,
            height: self.height,
            resize: self.resize.unwrap_or_default(),
            gravity: match self.gravity {
                None => Gravity::default(),
                Some(Pull::Side(compass)) => Gravity::Side(compass, x, y),
                Some(Pull::Smart) => Gravity::Smart,
                Some(Pull::Focus) => Gravity::Focus(x, y),
            },
            quality: self.quality,
            format: match self.format {
                None => accepted,
                Some(Asked::Origin) => None,
                Some(Asked::Format(format)) => Some(format),
            },
            max_pixels: pixels_max,
        }
    }
}

fn word<T: Copy>(words: &[(&'static str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

fn one_of<T: Copy, const N: usize>(
    fields: &mut Fields,
    name: &str,
    words: [(&'static str, T); N],
) -> Option<T> {
    let text = fields.one_of(name, &words.map(|(word, _)| word))?;
    word(&words, text)
}

fn in_picture(share: Option<f64>) -> bool {
    share.is_some_and(|share| (0.0..=1.0).contains(&share))
}

/// A focal point is in the picture; the reference says so twice, as its checker does with a condition.
fn check_focus(fields: &mut Fields, given: (bool, bool), wanted: &Transform) {
    let mut broken = false;
    for (name, given, value) in [("x_offset", given.0, wanted.x), ("y_offset", given.1, wanted.y)] {
        if !given {
            fields.missing(name);
        } else if value.is_some_and(|value| value < 0.0) {
            fields.wrong(name, "must be >= 0");
        } else if value.is_some_and(|value| value > 1.0) {
            fields.wrong(name, "must be <= 1");
        } else {
            continue;
        }
        broken = true;
    }
    if broken {
        fields.wrong_whole("must match \"then\" schema");
    }
}

/// The number at the beginning of a text, as JavaScript's `parseInt` finds it.
fn leading_number(text: &str) -> Option<u32> {
    let text = text.trim_start();
    let digits = text.find(|c: char| !c.is_ascii_digit()).map_or(text, |end| &text[..end]);
    if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(u32::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Outcome<Transform> {
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Transform::of_query(&query, &ImageSettings::default())
    }

    fn wrong(query: &str) -> String {
        of(query).expect_err(query).fault.message
    }

    #[test]
    fn the_header_has_a_fixed_order() {
        for (query, header) in [
            ("", ""),
            ("width=200&height=200&quality=60", "height:200,width:200,resizing_type:fill,quality:60"),
            ("width=0&resize=contain", ""),
            ("width=100&resize=contain", "width:100,resizing_type:fit"),
            ("height=5000&resize=fill", "height:2000,resizing_type:force"),
            ("format=webp&width=1&height=1", "height:1,width:1,resizing_type:fill,format:webp"),
            ("format=origin", ""),
            ("gravity=fp&x_offset=0&y_offset=1", "gravity:fp:0:1"),
            ("gravity=no&y_offset=-0.25", "gravity:no:0:-0.25"),
            ("gravity=sm&x_offset=12&y_offset=-4", "gravity:sm"),
            ("gravity=ce", "gravity:ce"),
            ("x_offset=1&download=a&token=b", ""),
        ] {
            assert_eq!(of(query).expect(query).header(), header, "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_reference_s_words() {
        assert_eq!(wrong("width=-1"), "querystring/width must be >= 0");
        assert_eq!(
            wrong("height=a&width=1.5&quality=10&resize=cut"),
            "querystring/height must be integer, querystring/width must be integer, \
             querystring/resize must be equal to one of the allowed values, querystring/quality must be >= 20"
        );
        assert_eq!(wrong("quality=101"), "querystring/quality must be <= 100");
        assert_eq!(wrong("format=png"), "querystring/format must be equal to one of the allowed values");
        assert_eq!(
            wrong("gravity=fp&x_offset=1.1"),
            "querystring/x_offset must be <= 1, querystring must have required property 'y_offset', \
             querystring must match \"then\" schema"
        );
        assert_eq!(wrong("x_offset=Infinity"), "querystring/x_offset must be number");
    }

    #[test]
    fn a_token_holds_what_was_asked_for() {
        let images = ImageSettings::default();
        for query in [
            "width=100&height=50&resize=cover&quality=50",
            "width=100&gravity=fp&x_offset=0.5&y_offset=0.75&resize=fill",
            "gravity=sowe&x_offset=-3&y_offset=0&format=avif",
            "height=7&resize=contain&gravity=sm&format=origin",
        ] {
            let asked = of(query).expect(query);
            let read = Transform::of_claim(&asked.claim(), asked.format_word().unwrap_or_default(), &images);
            assert_eq!(read.expect(query), asked, "{query}");
        }
        let of = |text: &str| Transform::of_claim(text, "", &images);
        assert_eq!(of("width:100,resize:undefined").expect("reads").header(), "width:100,resizing_type:fill");
        assert_eq!(
            of("gravity:no:NaN:Infinity,width:12px,nonsense,quality:").expect("reads").header(),
            "width:12,resizing_type:fill,gravity:no"
        );
        assert!(of("gravity:fp:0.5").is_err_and(|refused| refused.is("InvalidParameter")));
    }

    #[test]
    fn the_renderer_gets_the_accepted_format_only_when_none_was_asked_for() {
        let of = |query| of(query).expect("valid").options(Some(Format::Webp), None).format;
        assert_eq!(of("width=1"), Some(Format::Webp));
        assert_eq!(of("format=origin"), None);
        assert_eq!(of("format=avif"), Some(Format::Avif));
    }
}
