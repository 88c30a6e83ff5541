//! Bodies with a JSON object on each line.

use super::payload::RowKeys;
use crate::faults;
use bytes::Bytes;
use fault::Fault;
use std::collections::BTreeSet;

/// The lines as a JSON array, and the keys of its objects. Lines without anything on them are skipped. With `even` all
/// objects must have the same keys.
pub fn to_array(body: &[u8], even: bool) -> Result<(Bytes, BTreeSet<String>), Fault> {
    let mut array = Vec::with_capacity(body.len() + 2);
    let mut first: Option<BTreeSet<String>> = None;
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let keys = keys(line).map_err(|why| at(faults::body("Empty or invalid json"), index, &why))?;
        array.push(if first.is_some() { b',' } else { b'[' });
        array.extend_from_slice(line);
        match &first {
            Some(first) if even && *first != keys => {
                let why = "its keys are not those of the first object";
                return Err(at(faults::body("All object keys must match"), index, why));
            }
            Some(_) => {}
            None => first = Some(keys),
        }
    }
    if first.is_none() {
        array.push(b'[');
    }
    array.push(b']');
    Ok((array.into(), first.unwrap_or_default()))
}

/// The keys of an object.
fn keys(line: &[u8]) -> Result<BTreeSet<String>, String> {
    match serde_json::from_slice::<RowKeys>(line) {
        Ok(RowKeys(Some(keys))) => Ok(keys),
        Ok(RowKeys(None)) => Err("it is not an object".to_owned()),
        // Of the place only the column says something: the line is one.
        Err(error) => {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            Err(format!("{what}, column {}", error.column()))
        }
    }
}

fn at(fault: Fault, index: usize, why: &str) -> Fault {
    fault.with_details(format!("Line {}: {why}", index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(text: &str) -> String {
        String::from_utf8(to_array(text.as_bytes(), true).unwrap().0.to_vec()).unwrap()
    }

    #[test]
    fn lines_become_an_array() {
        assert_eq!(array("{\"a\":1}\r\n\n {\"a\": \"x\"} \n"), r#"[{"a":1},{"a": "x"}]"#);
        assert_eq!(array(""), "[]");
        assert_eq!(array("\n\n"), "[]");
        let (_, keys) = to_array(br#"{"b":1,"a":{"c":2}}"#, true).unwrap();
        assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, message, details) in [
            ("{\"a\":1}\n\n{\"a\":}", "Empty or invalid json", "Line 3: expected value, column 6"),
            ("{\"a\":1},{\"a\":2}", "Empty or invalid json", "Line 1: trailing characters, column 8"),
            ("{\"a\":1}\n[1]", "Empty or invalid json", "Line 2: it is not an object"),
            ("7", "Empty or invalid json", "Line 1: it is not an object"),
            (
                "{\"a\":1}\n{\"b\":1}",
                "All object keys must match",
                "Line 2: its keys are not those of the first object",
            ),
        ] {
            let fault = to_array(text.as_bytes(), true).unwrap_err();
            assert_eq!(fault.message, message, "{text}");
            assert_eq!(fault.details.as_ref().and_then(|details| details.as_str()), Some(details), "{text}");
        }
        assert!(to_array(b"{\"a\":1}\n{\"b\":1}", false).is_ok());
    }
}
