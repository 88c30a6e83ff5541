//! Templates of mails: no source makes them run away, and no value leaves its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{Mode, Template, plain};

fuzz_target!(|source: &str| {
    let data = serde_json::json!({ "X": "\"'><xss onerror=1>-->", "Y": "javascript:xss()", "L": ["<xss>"], "Data": { "a": 1 } });
    for mode in [Mode::Html, Mode::Line] {
        let Ok(template) = Template::parse(source, mode) else { continue };
        let Ok(text) = template.render(&data) else { continue };
        plain(&text);
        match mode {
            Mode::Html => assert!(source.to_lowercase().contains("<xss") || !text.to_lowercase().contains("<xss"), "{text}"),
            Mode::Line => assert!(!text.contains(['\r', '\n'])),
        }
    }
});
