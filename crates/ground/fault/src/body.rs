//! The JSON bodies in which faults reach clients, one function a surface.

use crate::Fault;
use serde_json::{Value, json};

/// The data API's body: PostgREST's four keys, in its order, nulls included.
pub fn rest_body(fault: &Fault) -> Vec<u8> {
    json!({
        "code": fault.code,
        "details": fault.details,
        "hint": fault.hint,
        "message": fault.message,
    })
    .to_string()
    .into_bytes()
}

/// The data API's body where clients may know no more: code and message.
pub fn rest_body_minimal(fault: &Fault) -> Vec<u8> {
    json!({ "code": fault.code, "message": fault.message }).to_string().into_bytes()
}

/// The data API's body for a batch of operations: with the number, from 0, of the one that failed. Null when all had
/// succeeded and the transaction could not be kept.
pub fn rest_batch_body(fault: &Fault, operation: Option<usize>) -> Vec<u8> {
    json!({
        "code": fault.code,
        "details": fault.details,
        "hint": fault.hint,
        "message": fault.message,
        "operation": operation,
    })
    .to_string()
    .into_bytes()
}

/// The same where clients may know no more than code, message and operation.
pub fn rest_batch_body_minimal(fault: &Fault, operation: Option<usize>) -> Vec<u8> {
    json!({ "code": fault.code, "message": fault.message, "operation": operation }).to_string().into_bytes()
}

/// Auth's body. `dated` is whether the client asked for the API of 2024-01-01 or later, whose errors name
/// their code in `code`; before it `code` is the HTTP status and `error_code` the code.
///
/// `details` may hold an object: its keys (such as `weak_password`) are put beside the others.
pub fn auth_body(fault: &Fault, dated: bool, request_id: Option<&str>) -> Vec<u8> {
    let mut body = if dated {
        json!({ "code": fault.code, "message": fault.message })
    } else {
        json!({ "code": fault.status.as_u16(), "error_code": fault.code, "msg": fault.message })
    };
    if let Some(object) = body.as_object_mut() {
        if let (false, true, Some(id)) = (dated, fault.status.is_server_error(), request_id) {
            object.insert("error_id".into(), Value::from(id));
        }
        if let Some(Value::Object(more)) = &fault.details {
            object.extend(more.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
    }
    body.to_string().into_bytes()
}

/// The body of OAuth 2 endpoints: RFC 6749 §5.2.
pub fn oauth_body(fault: &Fault) -> Vec<u8> {
    json!({ "error": fault.code, "error_description": fault.message }).to_string().into_bytes()
}

/// Storage's body. `inner` is the status that the fault stands for, which the status line often hides; `error` is
/// the word by which older clients tell faults apart.
pub fn storage_body(fault: &Fault, inner: u16, error: &str) -> Vec<u8> {
    json!({
        "statusCode": inner.to_string(),
        "error": error,
        "message": fault.message,
        "code": fault.code,
    })
    .to_string()
    .into_bytes()
}

/// The body of the S3 protocol, XML; `code` is AWS's word and `resource` what the request was about. Without a
/// namespace, as AWS has it: some clients find nothing in one that has.
pub fn s3_body(fault: &Fault, code: &str, resource: &str) -> Vec<u8> {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error>");
    for (name, value) in [("Resource", resource), ("Code", code), ("Message", fault.message.as_ref())] {
        text.extend(["<", name, ">"]);
        push_xml(&mut text, value);
        text.extend(["</", name, ">"]);
    }
    text.push_str("</Error>");
    text.into_bytes()
}

/// Appends a text to an XML document. Characters that no document may hold are left out.
pub fn push_xml(document: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => document.push_str("&amp;"),
            '<' => document.push_str("&lt;"),
            '>' => document.push_str("&gt;"),
            '"' => document.push_str("&quot;"),
            '\r' => document.push_str("&#13;"),
            '\t' | '\n' => document.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => document.push(c),
        }
    }
}

/// The gateway's own body: a message and, where there is one, a hint.
pub fn gateway_body(fault: &Fault) -> Vec<u8> {
    let mut body = json!({ "message": fault.message, "code": fault.code });
    if let (Some(hint), Some(object)) = (&fault.hint, body.as_object_mut()) {
        object.insert("hint".into(), Value::from(hint.as_str()));
    }
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn rest_bodies_have_four_keys_in_alphabetical_order() {
        let fault = Fault::new(StatusCode::NOT_FOUND, "PGRST205", "no such table");
        assert_eq!(
            text(rest_body(&fault)),
            r#"{"code":"PGRST205","details":null,"hint":null,"message":"no such table"}"#
        );
    }

    #[test]
    fn s3_bodies_are_xml() {
        let fault = Fault::new(StatusCode::NOT_FOUND, "NoSuchKey", "no <key>\u{1} & \"all\"");
        assert_eq!(
            text(s3_body(&fault, "NoSuchKey", "b/a&b")),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Resource>b/a&amp;b</Resource><Code>NoSuchKey</Code>\
             <Message>no &lt;key&gt; &amp; &quot;all&quot;</Message></Error>"
        );
    }

    #[test]
    fn auth_bodies_follow_the_api_version() {
        let fault = Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "weak_password", "too short")
            .with_details(json!({ "weak_password": { "reasons": ["length"] } }));
        assert_eq!(
            text(auth_body(&fault, false, None)),
            r#"{"code":422,"error_code":"weak_password","msg":"too short","weak_password":{"reasons":["length"]}}"#
        );
        assert_eq!(
            text(auth_body(&fault, true, None)),
            r#"{"code":"weak_password","message":"too short","weak_password":{"reasons":["length"]}}"#
        );
    }

    #[test]
    fn the_cause_never_reaches_a_body() {
        let fault = Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", "oops")
            .caused_by("secret host name");
        for body in [rest_body(&fault), auth_body(&fault, false, Some("r")), gateway_body(&fault)] {
            assert!(!text(body).contains("secret"));
        }
    }
}
