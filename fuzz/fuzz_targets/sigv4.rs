//! What S3 clients sign: headers, queries and policies, and bodies in chunks, cut anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigv4::{Decoder, Expected, Policy, Presented, Regions, Request, Signer, Streaming, Verified};
use std::sync::LazyLock;
use time::OffsetDateTime;

const KINDS: [Streaming; 3] = [
    Streaming { signed: true, trailer: false },
    Streaming { signed: true, trailer: true },
    Streaming { signed: false, trailer: true },
];

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_248_000).expect("a time")
}

fn verify(request: &Request<'_>) -> Option<Verified> {
    let (hosts, prefixes) = (["h".to_owned()], [String::new(), "/s3".to_owned()]);
    let regions = Regions { ours: "local", enforced: false };
    let expected = Expected { hosts: &hosts, prefixes: &prefixes, regions, service: "s3", now: now() };
    Presented::read(request).ok()?.verify(request, "secret", &expected).ok()
}

static VERIFIED: LazyLock<[Verified; 3]> = LazyLock::new(|| {
    KINDS.map(|kind| {
        let [access_key, region, service] = ["k", "local", "s3"].map(str::to_owned);
        let signer = Signer { access_key, secret: "secret".to_owned(), token: None, region, service };
        let request = Request { method: "PUT", path: "/b/k", query: "", headers: &[("host", "h")] };
        let signed = signer.sign(&request, kind.as_str(), now());
        let mut headers = vec![("host", "h")];
        headers.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        verify(&Request { headers: &headers, ..request }).expect("our own signature")
    })
});

/// What a body decodes to in pieces of a size, and whether it ended well.
fn decode(kind: usize, body: &[u8], size: usize) -> (Vec<u8>, bool) {
    let mut decoder = Decoder::new(KINDS[kind], VERIFIED[kind].chain(), None);
    let mut out = Vec::new();
    for piece in body.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() {
            let Ok(step) = decoder.step(rest) else { return (out, false) };
            out.extend_from_slice(&rest[step.data]);
            rest = &rest[step.consumed..];
        }
    }
    (out, decoder.finish().is_ok())
}

fuzz_target!(|input: (u8, u8, &str, &str, &str, &[u8])| {
    let (kind, size, path, query, authorization, body) = input;
    let headers = [("host", "h"), ("x-amz-date", "20261121T080000Z"), ("authorization", authorization)];
    // Nobody can guess a signature.
    assert!(verify(&Request { method: "GET", path, query, headers: &headers }).is_none());
    let _ = Policy::parse(query);
    let kind = usize::from(kind) % KINDS.len();
    // What a body says does not depend on where it was cut.
    assert_eq!(decode(kind, body, usize::from(size) + 1), decode(kind, body, body.len().max(1)));
});
