//! Bodies of every content type, for a table and for a function.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse_fuzz::request;

fuzz_target!(|body: &[u8]| {
    for media in [
        "application/json",
        "text/csv",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/octet-stream",
    ] {
        let headers = [("content-type", media.as_bytes()), ("prefer", b"missing=default".as_slice())];
        request("POST", "/todos", "", &headers[..1], body);
        request("POST", "/todos", "columns=title,done", &headers, body);
        request("PATCH", "/todos", "id=eq.1", &headers, body);
        request("POST", "/rpc/first", "", &headers, body);
    }
});
