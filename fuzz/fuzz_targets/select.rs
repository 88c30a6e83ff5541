//! `select=`: columns, aliases, casts, paths, aggregates, embeds and spreads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse_fuzz::{escape, request};

fuzz_target!(|select: &str| {
    let query = format!("select={}", escape(select));
    request("GET", "/todos", &query, &[], b"");
    request("GET", "/people", &query, &[("accept", b"text/csv")], b"");
    request("DELETE", "/todos", &query, &[("prefer", b"return=representation")], b"");
});
