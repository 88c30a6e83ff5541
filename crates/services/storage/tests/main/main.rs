//! Storage with real PostgreSQL and bodies on disk, asked as the gateway asks it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod access;
mod events;
mod import;
mod leaving;
mod limits;
mod lists;
mod objects;
mod owners;
mod pages;
mod purges;
mod quota;
mod races;
mod scripts;
mod serving;
mod world;
