//! The schema `storage` on real PostgreSQL: what it consists of, and what its functions list.

mod big;
mod listing;
mod model;
mod surface;
mod world;
