//! A client of the S3 protocol: signs as AWS's do.

use crate::world::{PROJECT_ANON_KEY, S3_ACCESS_KEY, S3_SECRET_KEY, World};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use sigv4::{Encoder, Signer, Streaming};
use std::time::SystemTime;
use time::{Duration, OffsetDateTime};

pub const HOST: &str = "storage.test";
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Headers of a request.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// Somebody with keys.
pub struct Client<'a> {
    pub world: &'a World,
    pub signer: Signer,
    /// By how much its clock is wrong.
    pub late: Duration,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or("(bytes)")
    }

    #[track_caller]
    pub fn ok(self) -> Answer {
        assert!(self.status < 300, "{} {}", self.status, self.text());
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The texts of all elements of a name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.text().split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0)).collect()
    }

    /// The text of the first element of a name.
    pub fn one(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// Status and code of a refusal.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.one("Code"))
    }
}

pub fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

fn signer(access_key: &str, secret: &str, token: Option<&str>) -> Signer {
    Signer {
        access_key: access_key.to_owned(),
        secret: secret.to_owned(),
        token: token.map(str::to_owned),
        region: "us-east-1".to_owned(),
        service: "s3".to_owned(),
    }
}

impl<'a> Client<'a> {
    /// With the world's own keys, which act as the service.
    pub fn of(world: &'a World) -> Client<'a> {
        Client { world, signer: signer(S3_ACCESS_KEY, S3_SECRET_KEY, None), late: Duration::ZERO }
    }

    pub fn with(world: &'a World, access_key: &str, secret: &str) -> Client<'a> {
        Client { world, signer: signer(access_key, secret, None), late: Duration::ZERO }
    }

    /// In a user's session.
    pub fn session(world: &'a World, token: &str) -> Client<'a> {
        let name = world.project.as_str();
        Client { world, signer: signer(name, PROJECT_ANON_KEY, Some(token)), late: Duration::ZERO }
    }

    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from(SystemTime::now()) - self.late
    }

    /// Sends a request with these headers and no others.
    pub async fn raw(&self, method: &str, target: &str, headers: Headers<'_>, body: Vec<u8>) -> Answer {
        let mut request =
            Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.world.storage.handle(request.body(Body::from(body)).unwrap()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, bytes: response.into_body().collect().await.unwrap().to_bytes() }
    }

    /// Signs and sends a request with a promise about its body.
    pub async fn promised(
        &self,
        request: (&str, &str),
        headers: Headers<'_>,
        payload: &str,
        body: Vec<u8>,
    ) -> Answer {
        let (method, target) = request;
        let target = format!("/s3{target}");
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut all = vec![("host", HOST)];
        all.extend(headers);
        let signed =
            self.signer.sign(&sigv4::Request { method, path, query, headers: &all }, payload, self.now());
        let length = body.len().to_string();
        all.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        if !all.iter().any(|(name, _)| *name == "content-length") {
            all.push(("content-length", &length));
        }
        self.raw(method, &target, &all, body).await
    }

    /// Sends a request whose body is signed.
    pub async fn send(&self, method: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        self.promised((method, target), headers, &hash(body), body.to_vec()).await
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], b"").await
    }

    pub async fn head(&self, target: &str) -> Answer {
        self.send("HEAD", target, &[], b"").await
    }

    pub async fn put(&self, target: &str, body: &[u8]) -> Answer {
        self.send("PUT", target, &[("content-type", "text/plain")], body).await
    }

    pub async fn delete(&self, target: &str) -> Answer {
        self.send("DELETE", target, &[], b"").await
    }

    pub async fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, &[], body.as_bytes()).await
    }

    /// Sends a body in chunks, which `spoil` may change on the way.
    pub async fn chunked(
        &self,
        target: &str,
        streaming: Streaming,
        (pieces, trailer): (&[&[u8]], Headers<'_>),
        spoil: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Answer {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let length = length.to_string();
        let names: Vec<&str> = trailer.iter().map(|(name, _)| *name).collect();
        let names = names.join(",");
        let path = format!("/s3{target}");
        let mut all = vec![
            ("host", HOST),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", &length),
        ];
        if streaming.trailer {
            all.push(("x-amz-trailer", &names));
        }
        let request = sigv4::Request { method: "PUT", path: &path, query: "", headers: &all };
        let signed = self.signer.sign(&request, streaming.as_str(), self.now());
        let added = signed.headers.clone();
        let mut encoder = if streaming.signed { signed.encoder() } else { Encoder::unsigned() };
        let mut body = Vec::new();
        for piece in pieces {
            body.extend(encoder.chunk(piece));
        }
        body.extend(encoder.end(trailer));
        all.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.raw("PUT", &path, &all, spoil(body)).await
    }

    /// The target of a presigned URL.
    pub fn presigned(&self, method: &str, target: &str, lifetime: Duration) -> String {
        let target = format!("/s3{target}");
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let request = sigv4::Request { method, path, query, headers: &[("host", HOST)] };
        format!("{path}?{}", self.signer.presign(&request, lifetime, self.now()))
    }
}
