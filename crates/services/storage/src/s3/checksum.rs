//! Checksums that clients send along, in headers or behind the body.

use super::refused;
use crate::refusal::Outcome;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;

/// A kind of checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

const KINDS: [(Kind, &str, usize); 5] = [
    (Kind::Crc32, "x-amz-checksum-crc32", 4),
    (Kind::Crc32c, "x-amz-checksum-crc32c", 4),
    (Kind::Crc64Nvme, "x-amz-checksum-crc64nvme", 8),
    (Kind::Sha1, "x-amz-checksum-sha1", 20),
    (Kind::Sha256, "x-amz-checksum-sha256", 32),
];

impl Kind {
    /// The kind that a header holds.
    pub(super) fn of_header(name: &str) -> Option<Kind> {
        KINDS.iter().find(|(_, header, _)| *header == name).map(|(kind, _, _)| *kind)
    }

    pub(super) fn header(self) -> &'static str {
        self.entry().1
    }

    fn bytes(self) -> usize {
        self.entry().2
    }

    fn entry(self) -> (Kind, &'static str, usize) {
        KINDS.iter().copied().find(|(kind, _, _)| *kind == self).unwrap_or(KINDS[0])
    }
}

enum Sum {
    Crc(Box<crc_fast::Digest>),
    Sha1(Box<sha1::Sha1>),
    Sha256(Box<sha2::Sha256>),
}

/// A checksum on its way, and what it should become.
pub(super) struct Checksum {
    kind: Kind,
    sum: Sum,
    wanted: Option<Vec<u8>>,
}

impl Checksum {
    pub(super) fn new(kind: Kind) -> Checksum {
        let crc = |algorithm| Sum::Crc(Box::new(crc_fast::Digest::new(algorithm)));
        let sum = match kind {
            Kind::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            Kind::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            Kind::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            Kind::Sha1 => Sum::Sha1(Box::default()),
            Kind::Sha256 => Sum::Sha256(Box::default()),
        };
        Checksum { kind, sum, wanted: None }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Keeps what it should become: base64 in a header or trailer.
    pub(super) fn expect(&mut self, text: &str) -> Outcome<()> {
        let bytes = STANDARD.decode(text.trim()).ok().filter(|bytes| bytes.len() == self.kind.bytes());
        self.wanted = Some(bytes.ok_or_else(|| refused::invalid_checksum(self.kind.header()))?);
        Ok(())
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        match &mut self.sum {
            Sum::Crc(digest) => digest.update(data),
            Sum::Sha1(digest) => sha1::Digest::update(&mut **digest, data),
            Sum::Sha256(digest) => sha2::Digest::update(&mut **digest, data),
        }
    }

    /// The sum in base64, if it is as it should be.
    pub(super) fn finish(self) -> Outcome<String> {
        let sum = match self.sum {
            Sum::Crc(digest) => {
                let bytes = digest.finalize().to_be_bytes();
                bytes[8 - self.kind.bytes()..].to_vec()
            }
            Sum::Sha1(digest) => sha1::Digest::finalize(*digest).to_vec(),
            Sum::Sha256(digest) => sha2::Digest::finalize(*digest).to_vec(),
        };
        if self.wanted.is_some_and(|wanted| wanted != sum) {
            return Err(refused::bad_digest(self.kind.header()));
        }
        Ok(STANDARD.encode(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_usual_test_text() {
        // The check values of the catalogues of these functions: of the text 123456789.
        for (kind, wanted) in [
            (Kind::Crc32, hex::decode("cbf43926").unwrap()),
            (Kind::Crc32c, hex::decode("e3069283").unwrap()),
            (Kind::Crc64Nvme, hex::decode("ae8b14860a799888").unwrap()),
            (Kind::Sha1, hex::decode("f7c3bc1d808e04732adf679965ccc34ca7ae3441").unwrap()),
            (
                Kind::Sha256,
                hex::decode("15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225").unwrap(),
            ),
        ] {
            let text = STANDARD.encode(&wanted);
            let sum = |data: &[u8]| {
                let mut sum = Checksum::new(kind);
                sum.expect(&text).unwrap();
                data.chunks(4).for_each(|piece| sum.update(piece));
                sum.finish()
            };
            assert_eq!(sum(b"123456789").unwrap(), text, "{kind:?}");
            assert!(sum(b"123456780").unwrap_err().is("BadDigest"));
            assert!(Checksum::new(kind).expect("AA==").unwrap_err().is("InvalidRequest"));
            assert_eq!(Kind::of_header(kind.header()), Some(kind));
        }
    }
}
