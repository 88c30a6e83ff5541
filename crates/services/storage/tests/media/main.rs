//! What happens to files beside being kept: pictures made smaller, scanners asked, types compared with contents.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod place;
mod render;
mod render_errors;
mod scan;
mod scanners;
mod sniff;
