//! The first packet of a PostgreSQL client, with and without its length.
#![no_main]

use futures_util::FutureExt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    let length = u32::try_from(packet.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
    let framed = [&length, packet].concat();
    // All bytes are there, so the reader never waits.
    let _ = pgwire::fuzzing::startup(packet).now_or_never();
    let _ = pgwire::fuzzing::startup(&framed[..]).now_or_never();
});
