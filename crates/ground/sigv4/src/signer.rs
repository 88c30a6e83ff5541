//! A client's side: signs requests, URLs, bodies in chunks and forms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::{Duration, OffsetDateTime};

use crate::ALGORITHM;
use crate::canonical::{Canonical, Request, encode};
use crate::chunked::Chain;
use crate::key::SigningKey;
use crate::stamp::Stamp;

/// Who signs, for whom.
#[derive(Clone)]
pub struct Signer {
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
    /// A session's token.
    pub token: Option<String>,
    /// The region.
    pub region: String,
    /// `s3`.
    pub service: String,
}

/// What signing a request gives.
pub struct Signed {
    /// Headers to be added to the request.
    pub headers: Vec<(String, String)>,
    chain: Chain,
}

impl Signed {
    /// Encodes the body, where chunks are signed.
    pub fn encoder(self) -> Encoder {
        Encoder { chain: Some(self.chain) }
    }
}

impl Signer {
    fn scope(&self, stamp: &Stamp) -> String {
        [stamp.day(), &self.region, &self.service, "aws4_request"].join("/")
    }

    fn key(&self, stamp: &Stamp) -> SigningKey {
        SigningKey::derive(&self.secret, stamp.day(), &self.region, &self.service)
    }

    /// Signs a request with all of its headers; `host` must be among them, `payload` is the value of
    /// `x-amz-content-sha256`.
    pub fn sign(&self, request: &Request<'_>, payload: &str, now: OffsetDateTime) -> Signed {
        let stamp = Stamp::of(now);
        let mut added = vec![
            ("x-amz-content-sha256".to_owned(), payload.to_owned()),
            ("x-amz-date".to_owned(), stamp.as_str().to_owned()),
        ];
        added.extend(self.token.iter().map(|token| ("x-amz-security-token".to_owned(), token.clone())));
        let mut all: Vec<(&str, &str)> = request.headers.to_vec();
        all.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut names: Vec<String> = all.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        names.dedup();
        let scope = self.scope(&stamp);
        let signature = self.signature(&Request { headers: &all, ..*request }, &names, payload, &stamp);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.access_key,
            names.join(";")
        );
        let chain = Chain::new(self.key(&stamp), stamp.as_str(), &scope, &signature);
        added.push(("authorization".to_owned(), authorization));
        Signed { headers: added, chain }
    }

    /// The query of a presigned URL, which holds for a while.
    pub fn presign(&self, request: &Request<'_>, lifetime: Duration, now: OffsetDateTime) -> String {
        let stamp = Stamp::of(now);
        let mut names: Vec<String> = request.headers.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        names.dedup();
        let credential = format!("{}/{}", self.access_key, self.scope(&stamp));
        let lifetime = lifetime.whole_seconds().to_string();
        let signed = names.join(";");
        let mut parameters = vec![
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", stamp.as_str()),
            ("X-Amz-Expires", &lifetime),
            ("X-Amz-SignedHeaders", &signed),
        ];
        parameters.extend(self.token.iter().map(|token| ("X-Amz-Security-Token", token.as_str())));
        let mut query = request.query.to_owned();
        for (name, value) in parameters {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            query.push_str(&encode(value));
        }
        let signature =
            self.signature(&Request { query: &query, ..*request }, &names, "UNSIGNED-PAYLOAD", &stamp);
        format!("{query}&X-Amz-Signature={signature}")
    }

    /// The fields of a form for a policy, a JSON document.
    pub fn post(&self, policy: &str, now: OffsetDateTime) -> Vec<(String, String)> {
        let stamp = Stamp::of(now);
        let policy = STANDARD.encode(policy);
        let signature = self.key(&stamp).sign(&policy);
        let credential = format!("{}/{}", self.access_key, self.scope(&stamp));
        let mut fields = vec![
            ("policy".to_owned(), policy),
            ("x-amz-algorithm".to_owned(), ALGORITHM.to_owned()),
            ("x-amz-credential".to_owned(), credential),
            ("x-amz-date".to_owned(), stamp.as_str().to_owned()),
            ("x-amz-signature".to_owned(), signature),
        ];
        fields.extend(self.token.iter().map(|token| ("x-amz-security-token".to_owned(), token.clone())));
        fields
    }

    fn signature(&self, request: &Request<'_>, names: &[String], payload: &str, stamp: &Stamp) -> String {
        let host = request.header("host").unwrap_or_default();
        let hash = Canonical::new(*request, names, payload).hash(request.path, host);
        self.key(stamp).sign(&[ALGORITHM, stamp.as_str(), &self.scope(stamp), &hash].join("\n"))
    }
}

/// Writes bodies in chunks.
pub struct Encoder {
    chain: Option<Chain>,
}

impl Encoder {
    /// One that signs nothing.
    pub fn unsigned() -> Encoder {
        Encoder { chain: None }
    }

    /// One chunk; an empty one is the last, which [`Encoder::end`] writes.
    pub fn chunk(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = self.head(data);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
        out
    }

    fn head(&mut self, data: &[u8]) -> Vec<u8> {
        let size = data.len();
        match &mut self.chain {
            Some(chain) => format!("{size:x};chunk-signature={}\r\n", chain.sign_chunk(data)).into_bytes(),
            None => format!("{size:x}\r\n").into_bytes(),
        }
    }

    /// The last chunk and the trailer. Names in lower case.
    pub fn end(&mut self, trailer: &[(&str, &str)]) -> Vec<u8> {
        let mut out = self.head(b"");
        let mut lines = String::new();
        for (name, value) in trailer {
            out.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            lines.push_str(&format!("{name}:{value}\n"));
        }
        if let (Some(chain), false) = (&mut self.chain, trailer.is_empty()) {
            let line = format!("x-amz-trailer-signature:{}\r\n", chain.sign_trailer(&lines));
            out.extend_from_slice(line.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}
