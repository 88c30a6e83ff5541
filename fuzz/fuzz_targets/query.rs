//! A whole query string, read, called and written with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse_fuzz::request;

fuzz_target!(|query: &str| {
    request("GET", "/todos", query, &[], b"");
    request("GET", "/rpc/first", query, &[], b"");
    request("PATCH", "/todos", query, &[("prefer", b"return=representation")], br#"{"title":"x"}"#);
    request("PUT", "/todos", query, &[], br#"{"id":1,"title":"x"}"#);
    request("POST", "/todos", query, &[("prefer", b"resolution=merge-duplicates")], br#"[{"id":1}]"#);
});
