//! What a signature says about the body: `x-amz-content-sha256`.

use crate::error::Error;

/// A body in chunks that are part of the signature's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streaming {
    /// Every chunk carries a signature.
    pub signed: bool,
    /// Headers follow the last chunk.
    pub trailer: bool,
}

/// What is promised about the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    Unsigned,
    /// Its SHA-256, to be compared when it has been read.
    Sha256([u8; 32]),
    /// It comes in chunks.
    Streaming(Streaming),
}

const CHUNKS: [(&str, Streaming); 3] = [
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Streaming { signed: true, trailer: false }),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Streaming { signed: true, trailer: true }),
    ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Streaming { signed: false, trailer: true }),
];

impl Payload {
    /// Reads the header's value.
    pub fn parse(text: &str) -> Result<Payload, Error> {
        if text == "UNSIGNED-PAYLOAD" {
            return Ok(Payload::Unsigned);
        }
        if let Some((_, streaming)) = CHUNKS.iter().find(|(name, _)| *name == text) {
            return Ok(Payload::Streaming(*streaming));
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| {
            Error::Body("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- kind that is known here, or a SHA-256")
        })?;
        Ok(Payload::Sha256(hash))
    }
}

impl Streaming {
    /// As in the header.
    pub fn as_str(self) -> &'static str {
        CHUNKS
            .iter()
            .find(|(_, streaming)| *streaming == self)
            .map_or("STREAMING-UNSIGNED-PAYLOAD-TRAILER", |(n, _)| n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_payload() {
        assert_eq!(Payload::parse("UNSIGNED-PAYLOAD"), Ok(Payload::Unsigned));
        for (name, streaming) in CHUNKS {
            assert_eq!(Payload::parse(name), Ok(Payload::Streaming(streaming)));
            assert_eq!(streaming.as_str(), name);
        }
        assert!(matches!(Payload::parse(crate::NOTHING), Ok(Payload::Sha256(hash)) if hash[0] == 0xe3));
        assert!(Payload::parse("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD").is_err());
        assert!(Payload::parse("").is_err());
    }
}
