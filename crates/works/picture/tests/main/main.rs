//! Pictures through the renderer: kinds, shapes, and files made to do harm.

mod bombs;
mod kinds;
mod samples;
mod shapes;
