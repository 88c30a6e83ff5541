//! Whether a presented signature is its claimed signer's.

use time::OffsetDateTime;

use crate::canonical::{Canonical, Request, encode_path};
use crate::chunked::Chain;
use crate::error::Error;
use crate::key::SigningKey;
use crate::payload::{Payload, Streaming};
use crate::presented::{Credential, Place, Presented};
use crate::{ALGORITHM, SKEW};

/// How many bytes are hashed at most to find out what a client called us: for an ordinary request that is every name
/// that a caller can think of, for the longest that a server reads it is some.
const HASHED_BYTES_MAX: usize = 1 << 20;

/// Headers of AWS that change nothing in what a request does, or are part of what is signed anyway.
const HARMLESS: [&str; 4] = ["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent", "x-amz-cf-id"];

/// Where we say we are.
#[derive(Debug, Clone, Copy)]
pub struct Regions<'a> {
    /// Our region.
    pub ours: &'a str,
    /// Whether clients must name exactly that one. Else `us-east-1`, `auto` and none will do as well.
    pub enforced: bool,
}

impl Regions<'_> {
    fn accept(&self, region: &str) -> bool {
        region == self.ours || (!self.enforced && matches!(region, "us-east-1" | "auto" | ""))
    }
}

/// What a signature is measured by.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// What clients may have called us, most likely first.
    pub hosts: &'a [String],
    /// What proxies and the gateway may have taken off the path, most likely first; `""` for nothing.
    pub prefixes: &'a [String],
    /// Our region.
    pub regions: Regions<'a>,
    /// `s3`.
    pub service: &'a str,
    /// The time.
    pub now: OffsetDateTime,
}

/// What a believed request still has to keep: its promise about the body.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The promise.
    pub payload: Payload,
    key: SigningKey,
    stamp: String,
    scope: String,
    signature: String,
}

impl Verified {
    /// How the body is framed, if it comes in chunks.
    pub fn streaming(&self) -> Option<Streaming> {
        match self.payload {
            Payload::Streaming(streaming) => Some(streaming),
            Payload::Unsigned | Payload::Sha256(_) => None,
        }
    }

    /// Where the signatures of the chunks start.
    pub fn chain(&self) -> Chain {
        Chain::new(self.key.clone(), &self.stamp, &self.scope, &self.signature)
    }
}

impl Credential {
    /// The keys made of some secrets, in their order.
    pub(crate) fn keys(
        &self,
        secrets: &[&str],
        stamp_day: Option<&str>,
        expected: &Expected<'_>,
    ) -> Result<Vec<SigningKey>, Error> {
        if self.service != expected.service {
            return Err(Error::Malformed("The credential's scope names another service"));
        }
        if stamp_day.is_some_and(|day| day != self.day) {
            return Err(Error::Malformed("The credential's scope names another day than the request"));
        }
        if !expected.regions.accept(&self.region) {
            return Err(Error::Mismatch);
        }
        let derive = |secret: &&str| SigningKey::derive(secret, &self.day, &self.region, &self.service);
        Ok(secrets.iter().map(derive).collect())
    }
}

impl Presented {
    /// Whether one of `secrets` signed the request, for us and for now.
    pub fn verify(
        &self,
        request: &Request<'_>,
        secrets: &[&str],
        expected: &Expected<'_>,
    ) -> Result<Verified, Error> {
        self.verify_time(expected.now)?;
        let keys = self.credential.keys(secrets, Some(self.stamp.day()), expected)?;
        let scope = self.credential.scope();
        let canonical = Canonical::new(*request, &self.signed_headers, &self.content);
        let paths = paths(request.path, expected.prefixes);
        let mut names = expected.hosts.iter().flat_map(|host| paths.iter().map(move |path| (path, host)));
        let mut left = HASHED_BYTES_MAX;
        let key = loop {
            let (path, host) = names.next().ok_or(Error::Mismatch)?;
            left = left.checked_sub(canonical.len(path, host)).ok_or(Error::Mismatch)?;
            let hash = canonical.hash(path, host);
            let text = [ALGORITHM, self.stamp.as_str(), &scope, &hash].join("\n");
            if let Some(key) = keys.iter().find(|key| key.verify(&text, &self.signature)) {
                break key.clone();
            }
        };
        self.verify_coverage(request)?;
        let stamp = self.stamp.as_str().to_owned();
        Ok(Verified { payload: self.payload, key, stamp, scope, signature: self.signature.clone() })
    }

    fn verify_time(&self, now: OffsetDateTime) -> Result<(), Error> {
        let age = now - self.stamp.at();
        match self.place {
            _ if age < -SKEW => Err(Error::Skewed),
            Place::Url(Some(lifetime)) if age > lifetime => Err(Error::Expired),
            Place::Url(None) if age > SKEW => Err(Error::Expired),
            Place::Header if age > SKEW => Err(Error::Skewed),
            Place::Header | Place::Url(_) => Ok(()),
        }
    }

    /// Whoever holds a signed URL or sees a request pass must not be able to add to it what changes its meaning.
    fn verify_coverage(&self, request: &Request<'_>) -> Result<(), Error> {
        let uncovered = request
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("x-amz-") && !HARMLESS.contains(name) && !self.covers(name));
        if uncovered { Err(Error::Unsigned) } else { Ok(()) }
    }
}

/// Paths that the client may have meant. Some HTTP libraries escape less on the wire than what they signed, so the path
/// is also tried as S3 itself would write it.
fn paths(path: &str, prefixes: &[String]) -> Vec<String> {
    let written = encode_path(&percent_encoding::percent_decode_str(path).decode_utf8_lossy());
    let mut tails = vec![path];
    if written != path {
        tails.push(&written);
    }
    let mut paths = Vec::with_capacity(prefixes.len() * tails.len());
    for prefix in prefixes {
        paths.extend(tails.iter().map(|tail| [prefix.trim_end_matches('/'), tail].concat()));
    }
    paths
}
