//! One text as a filter's value, its key, a logic tree, an order and a list of columns.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse_fuzz::{escape, request};

fuzz_target!(|text: &str| {
    let text = escape(text);
    for query in [
        format!("title={text}"),
        format!("{text}=eq.1"),
        format!("and=({text})"),
        format!("or={text}"),
        format!("select=*,tags(*)&tags.{text}=is.null&tags.or=({text})"),
        format!("order={text}"),
    ] {
        request("GET", "/todos", &query, &[], b"");
    }
    request("POST", "/todos", &format!("on_conflict={text}&columns={text}"), &[], b"[]");
});
