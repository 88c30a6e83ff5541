//! Where in a stream of HTTP/1.1 requests we are.

/// Header lines longer than this are not looked at; the ones that matter are short.
const LINE_MAX: usize = 128;
/// Bodies are followed up to this length; no server of ours takes longer ones.
const BODY_MAX: u64 = 1 << 40;

/// The place in the stream.
#[derive(Debug, Default)]
pub struct Framing {
    place: Place,
    /// The beginning of the line under way.
    line: Vec<u8>,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// The method, before the target.
    #[default]
    Method,
    Target,
    /// The rest of the request line.
    Version,
    Header,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    Trailer,
    /// No longer followed.
    Aside,
}

impl Framing {
    /// Takes in bytes. Returns them escaped if any of them had to be.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut escaped: Option<Vec<u8>> = None;
        let mut at = 0;
        while at < bytes.len() {
            match self.place {
                Place::Aside => {
                    if let Some(out) = &mut escaped {
                        out.extend_from_slice(&bytes[at..]);
                    }
                    return escaped;
                }
                Place::Body(left) | Place::Chunk(left) => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    if let Some(out) = &mut escaped {
                        out.extend_from_slice(&bytes[at..at + length]);
                    }
                    at += length;
                    self.skip(left - length as u64);
                }
                _ => {
                    let run = self.run(&bytes[at..]);
                    if let Some(out) = &mut escaped {
                        out.extend_from_slice(&bytes[at..at + run]);
                    }
                    at += run;
                    let Some(&byte) = bytes.get(at) else { break };
                    if self.place == Place::Target && is_careless(byte) {
                        let out = escaped.get_or_insert_with(|| bytes[..at].to_vec());
                        escape(byte, out);
                    } else if let Some(out) = &mut escaped {
                        out.push(byte);
                    }
                    at += 1;
                    self.byte(byte);
                }
            }
        }
        escaped
    }

    /// Takes in the bytes before the next one that matters here; how many they are.
    fn run(&mut self, bytes: &[u8]) -> usize {
        match self.place {
            Place::Target => {
                let matters = |byte: u8| matches!(byte, b' ' | b'\r' | b'\n') || is_careless(byte);
                bytes.iter().position(|byte| matters(*byte)).unwrap_or(bytes.len())
            }
            Place::Version => memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()),
            Place::Header | Place::ChunkSize | Place::Trailer => {
                let run = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
                let kept = run.min(LINE_MAX - self.line.len());
                self.line.extend_from_slice(&bytes[..kept]);
                run
            }
            Place::Method | Place::Body(_) | Place::Chunk(_) | Place::Aside => 0,
        }
    }

    fn skip(&mut self, left: u64) {
        self.place = match (self.place, left) {
            (Place::Body(_), 0) => Place::Method,
            (Place::Body(_), left) => Place::Body(left),
            (_, 0) => Place::ChunkSize,
            (_, left) => Place::Chunk(left),
        };
    }

    fn byte(&mut self, byte: u8) {
        match (self.place, byte) {
            (Place::Method, b' ') => self.place = Place::Target,
            (Place::Target, b' ') => self.place = Place::Version,
            // Empty lines before a request are allowed.
            (Place::Method, b'\r' | b'\n') => {}
            (Place::Method, byte) if !byte.is_ascii_uppercase() => self.place = Place::Aside,
            (Place::Target, b'\r' | b'\n') => self.place = Place::Aside,
            (Place::Version, b'\n') => {
                (self.length, self.chunked) = (None, false);
                self.line.clear();
                self.place = Place::Header;
            }
            (Place::Header | Place::ChunkSize | Place::Trailer, b'\n') => {
                let line = std::mem::take(&mut self.line);
                self.end_of_line(&line);
                self.line = line;
                self.line.clear();
            }
            _ => {}
        }
    }

    fn end_of_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.place {
            // A line that was cut says something else to hyper, should it be one that matters.
            Place::Header | Place::ChunkSize if line.len() >= LINE_MAX && matters(self.place, line) => {
                self.place = Place::Aside;
            }
            Place::Header if line.is_empty() => self.end_of_head(),
            Place::Header => self.header(line),
            Place::ChunkSize => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let size =
                    std::str::from_utf8(digits).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
                self.place = match size {
                    Some(0) => Place::Trailer,
                    // With the line's end that follows the chunk.
                    Some(size) if size < BODY_MAX => Place::Chunk(size + 2),
                    _ => Place::Aside,
                };
            }
            Place::Trailer if line.is_empty() => self.place = Place::Method,
            _ => {}
        }
    }

    fn header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            self.place = Place::Aside;
            return;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            match length.filter(|length| *length < BODY_MAX && self.length.is_none()) {
                Some(length) => self.length = Some(length),
                None => self.place = Place::Aside,
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
            if !value.eq_ignore_ascii_case(b"chunked") {
                self.place = Place::Aside;
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") || name.trim_ascii() != name {
            self.place = Place::Aside;
        }
    }

    fn end_of_head(&mut self) {
        self.place = match (self.chunked, self.length) {
            (true, Some(_)) => Place::Aside,
            (true, None) => Place::ChunkSize,
            (false, Some(0) | None) => Place::Method,
            (false, Some(length)) => Place::Body(length),
        };
    }
}

/// Whether a line, of which only the beginning is known, could have to do with the framing.
fn matters(place: Place, line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
    let framing: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"upgrade"];
    place == Place::ChunkSize || framing.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Characters that a target must not hold and clients send nevertheless.
fn is_careless(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | b'\\' | b'^') || byte >= 0x80
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        let mut framing = Framing::default();
        let seen = framing.take(input.as_bytes()).unwrap_or_else(|| input.as_bytes().to_vec());
        assert_eq!(String::from_utf8(seen).unwrap(), expected);
    }

    const NEXT: &str = "GET /a>b HTTP/1.1\r\n\r\n";
    const NEXT_ESCAPED: &str = "GET /a%3Eb HTTP/1.1\r\n\r\n";

    #[test]
    fn the_next_request_is_found_behind_any_body() {
        for before in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n>>>",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=\">\"\r\n>\r\n>\r\n0\r\nT: >\r\n\r\n",
            "\r\n",
        ] {
            check(&format!("{before}{NEXT}"), &format!("{before}{NEXT_ESCAPED}"));
        }
    }

    #[test]
    fn in_doubt_nothing_is_touched() {
        for before in [
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length : 3\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u{0}",
            "\u{16}\u{3}\u{1}",
        ] {
            let whole = format!("{before}{NEXT}");
            check(&whole, &whole);
        }
    }

    #[test]
    fn a_length_too_long_to_look_at_is_not_guessed() {
        let zeros = "0".repeat(LINE_MAX);
        for before in [
            format!("POST / HTTP/1.1\r\nContent-Length: {zeros}3\r\n\r\n"),
            format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}3\r\n"),
        ] {
            let whole = format!("{before}{NEXT}");
            check(&whole, &whole);
        }
    }
}
