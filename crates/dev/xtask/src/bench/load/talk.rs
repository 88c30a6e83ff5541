//! What a connection of the load generator says: the next request, given the last answer.

use std::sync::Arc;

use anyhow::Result;

/// An answer as the generator hands it to whoever talks.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// One connection's side of the conversation.
pub trait Talk: Send {
    /// The bytes of the next request. `answer` is that to the request before, and nothing at first.
    fn next(&mut self, answer: Option<Answer>) -> Result<Arc<[u8]>>;
}

/// A request in parts.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

/// A request's bytes.
pub fn request(request: Request) -> Arc<[u8]> {
    let mut text = format!("{} {} HTTP/1.1\r\nhost: 127.0.0.1\r\n", request.method, request.path);
    for (name, value) in request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if request.method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", request.body.len()));
    }
    text.push_str("\r\n");
    text.push_str(request.body);
    text.into_bytes().into()
}

/// The same request again and again.
pub struct Fixed {
    request: Arc<[u8]>,
    status: u16,
}

impl Fixed {
    /// Every answer must have `status`.
    pub fn new(request: Arc<[u8]>, status: u16) -> Self {
        Self { request, status }
    }
}

impl Talk for Fixed {
    fn next(&mut self, answer: Option<Answer>) -> Result<Arc<[u8]>> {
        if let Some(answer) = answer
            && answer.status != self.status
        {
            anyhow::bail!("{}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        Ok(Arc::clone(&self.request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_as_bytes() {
        let bytes = request(Request { method: "POST", path: "/a?b", headers: &[("x", "y")], body: "{}" });
        assert_eq!(&*bytes, b"POST /a?b HTTP/1.1\r\nhost: 127.0.0.1\r\nx: y\r\ncontent-length: 2\r\n\r\n{}");
    }

    #[test]
    fn an_unexpected_status_ends_the_run() {
        let mut fixed =
            Fixed::new(request(Request { method: "GET", path: "/", headers: &[], body: "" }), 200);
        assert!(fixed.next(None).is_ok());
        assert!(fixed.next(Some(Answer { status: 200, body: b"" })).is_ok());
        assert!(fixed.next(Some(Answer { status: 500, body: b"" })).is_err());
    }
}
