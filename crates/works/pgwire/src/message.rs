//! The few messages that the router writes and reads itself.

use crate::directory::Refusal;
use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message of a client during authentication.
const AUTHENTICATION_MAX: usize = 4096;

/// A message: its kind, and what `body` writes.
fn put(out: &mut BytesMut, kind: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let start = out.len();
    out.put_u32(0);
    body(out);
    let length = u32::try_from(out.len() - start).expect("the router's own messages are short");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A text ended by a zero byte; one inside it would end it early and is left out.
fn text(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|b| *b != 0));
    out.put_u8(0);
}

pub(crate) fn authentication_sasl(out: &mut BytesMut, mechanism: &str) {
    put(out, b'R', |out| {
        out.put_u32(10);
        text(out, mechanism);
        out.put_u8(0);
    });
}

pub(crate) fn authentication_sasl_continue(out: &mut BytesMut, data: &str) {
    put(out, b'R', |out| {
        out.put_u32(11);
        out.put_slice(data.as_bytes());
    });
}

pub(crate) fn authentication_sasl_final(out: &mut BytesMut, data: &str) {
    put(out, b'R', |out| {
        out.put_u32(12);
        out.put_slice(data.as_bytes());
    });
}

pub(crate) fn authentication_ok(out: &mut BytesMut) {
    put(out, b'R', |out| out.put_u32(0));
}

pub(crate) fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    put(out, b'S', |out| {
        text(out, name);
        text(out, value);
    });
}

pub(crate) fn backend_key(out: &mut BytesMut, process_id: i32, secret: i32) {
    put(out, b'K', |out| {
        out.put_i32(process_id);
        out.put_i32(secret);
    });
}

pub(crate) fn ready(out: &mut BytesMut) {
    put(out, b'Z', |out| out.put_u8(b'I'));
}

/// We speak 3.0; these extensions are not known.
pub(crate) fn negotiate_version(out: &mut BytesMut, unknown: &[String]) {
    put(out, b'v', |out| {
        out.put_u32(0);
        out.put_u32(u32::try_from(unknown.len()).unwrap_or(0));
        unknown.iter().for_each(|name| text(out, name));
    });
}

/// The last message of a session that we end.
pub(crate) fn fatal(out: &mut BytesMut, refusal: &Refusal) {
    let mut fields = vec![(b'S', "FATAL"), (b'V', "FATAL"), (b'C', refusal.code), (b'M', &refusal.message)];
    fields.extend(refusal.hint.as_deref().map(|hint| (b'H', hint)));
    error(out, &fields);
}

/// The server's own report, passed on.
pub(crate) fn server_error(out: &mut BytesMut, report: &pg::DbError) {
    let mut fields = vec![
        (b'S', report.severity.as_str()),
        (b'V', report.severity.as_str()),
        (b'C', report.code.as_str()),
        (b'M', report.message.as_str()),
    ];
    fields.extend(report.detail.as_deref().map(|detail| (b'D', detail)));
    fields.extend(report.hint.as_deref().map(|hint| (b'H', hint)));
    error(out, &fields);
}

fn error(out: &mut BytesMut, fields: &[(u8, &str)]) {
    put(out, b'E', |out| {
        for (kind, value) in fields {
            out.put_u8(*kind);
            text(out, value);
        }
        out.put_u8(0);
    });
}

/// Reads the client's next step of authentication: the body of a message `p`. `None` when the client is gone,
/// as psql is when it has yet to ask for the password.
pub(crate) async fn read_sasl(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>, Refusal> {
    let Ok(kind) = stream.read_u8().await else { return Ok(None) };
    if kind != b'p' {
        return Err(Refusal::protocol(format!("expected SASL response, got message type {kind}")));
    }
    let Ok(length) = stream.read_u32().await else { return Ok(None) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(4..=AUTHENTICATION_MAX).contains(&length) {
        return Err(Refusal::protocol("invalid message length"));
    }
    let mut body = vec![0; length - 4];
    Ok(stream.read_exact(&mut body).await.ok().map(|_| body))
}

/// The client's choice of a mechanism and its first data.
pub(crate) fn parse_sasl_initial(body: &[u8]) -> Option<(&str, &[u8])> {
    let end = body.iter().position(|b| *b == 0)?;
    let (length, data) = body[end + 1..].split_first_chunk::<4>()?;
    let mechanism = std::str::from_utf8(&body[..end]).ok()?;
    (usize::try_from(u32::from_be_bytes(*length)).ok()? == data.len()).then_some((mechanism, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fatal_error_on_the_wire() {
        let mut out = BytesMut::new();
        fatal(&mut out, &Refusal::new("28P01", "no\0pe").with_hint("h"));
        assert_eq!(&out[..], b"E\0\0\0\x23SFATAL\0VFATAL\0C28P01\0Mnope\0Hh\0\0".as_slice());
    }

    #[test]
    fn the_first_sasl_message() {
        assert_eq!(parse_sasl_initial(b"X\0\0\0\0\x02ab"), Some(("X", b"ab".as_slice())));
        for bad in [b"".as_slice(), b"X", b"X\0\0\0", b"X\0\0\0\0\x03ab", b"X\0\xff\xff\xff\xff"] {
            assert_eq!(parse_sasl_initial(bad), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn other_messages_and_lengths_are_refused() {
        for bad in [b"Q\0\0\0\x05x".as_slice(), b"p\0\0\0\x03", b"p\0\x01\0\0"] {
            assert!(read_sasl(&mut &*bad).await.is_err(), "{bad:?}");
        }
        for gone in [b"".as_slice(), b"p", b"p\0\0\0\x09ab"] {
            assert_eq!(read_sasl(&mut &*gone).await, Ok(None), "{gone:?}");
        }
    }
}
