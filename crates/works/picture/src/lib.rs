//! Pictures made smaller: what `/render/image/…` answers with.
//!
//! A picture is hostile until proven otherwise: it is told by its bytes, never by its name; its size is compared with
//! the limits before memory is taken for it; and it is worked on by a bounded number of threads of low priority, of
//! which no single owner can have all. [`Renderer`] is the way in, [`Cache`] keeps what came out.
//!
//! The sizes that come out are those of imgproxy as the reference sets it up, with two differences that were decided:
//! one side given keeps the ratio in all modes (there it cuts the picture instead), and only a first frame is shown.

mod cache;
mod colour;
mod decode;
mod demand;
mod encode;
mod error;
mod format;
mod geometry;
mod job;
mod limits;
mod options;
mod orient;
mod pixels;
mod queue;
mod renderer;
mod room;
mod saliency;

pub use cache::{Budget, Cache, Key};
pub use error::{Error, Excess};
pub use format::{Format, Kind};
pub use limits::Limits;
pub use options::{Compass, Gravity, Options, Resize};
pub use renderer::{Renderer, Settings, Ticket};
pub use room::{Place, Room};

use bytes::Bytes;

/// A picture as it goes to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The file.
    pub bytes: Bytes,
    /// Its type, as in the `Content-Type` header.
    pub content_type: &'static str,
}
