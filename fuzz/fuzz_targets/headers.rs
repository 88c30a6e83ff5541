//! One text as every header that is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse_fuzz::request;

fuzz_target!(|value: &[u8]| {
    for name in ["accept", "range", "accept-profile"] {
        request("GET", "/todos", "", &[(name, value)], b"");
        request("GET", "/rpc/first", "n=1", &[(name, value)], b"");
    }
    for name in ["prefer", "accept", "content-type", "content-profile"] {
        request("POST", "/todos", "", &[(name, value)], br#"[{"title":"x"}]"#);
    }
    request("GET", "/todos", "", &[("prefer", value), ("accept", value), ("range", value)], b"");
});
