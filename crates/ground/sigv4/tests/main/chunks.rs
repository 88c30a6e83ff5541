//! Bodies in chunks: AWS's examples, and what must not pass.

use sigv4::{Decoder, Encoder, Error, Presented, Request, Streaming, Verified};

use super::{SECRET, Server, at, signer};

const TIME: &str = "20130524T000000Z";
const SIGNED: Streaming = Streaming { signed: true, trailer: false };
const SIGNED_TRAILER: Streaming = Streaming { signed: true, trailer: true };
const UNSIGNED: Streaming = Streaming { signed: false, trailer: true };

/// The request of the documentation's examples: its encoder, and what the server thinks of it.
fn request(streaming: Streaming) -> (Encoder, Verified) {
    let mut headers = vec![
        ("content-encoding", "aws-chunked"),
        ("content-length", if streaming.trailer { "66946" } else { "66824" }),
        ("host", "s3.amazonaws.com"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ];
    if streaming.trailer {
        headers.retain(|(name, _)| *name != "content-length");
        headers.push(("x-amz-trailer", "x-amz-checksum-crc32c"));
    }
    let request =
        Request { method: "PUT", path: "/examplebucket/chunkObject.txt", query: "", headers: &headers };
    let signed = signer("s3").sign(&request, streaming.as_str(), at(TIME));
    let mut sent = headers.clone();
    sent.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let sent = Request { headers: &sent, ..request };
    let server = Server::at("s3.amazonaws.com");
    let presented = Presented::read(&sent).expect("a signature");
    let verified =
        presented.verify(&sent, &[SECRET], &server.expected("s3", at(TIME))).expect("our own signature");
    assert_eq!(verified.streaming(), Some(streaming));
    let authorization = sent.header("authorization").expect("the header").to_owned();
    if streaming == SIGNED {
        assert!(authorization.ends_with("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"));
    } else if streaming == SIGNED_TRAILER {
        assert!(authorization.ends_with("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"));
    }
    (if streaming.signed { signed.encoder() } else { Encoder::unsigned() }, verified)
}

type Decoded = Result<(Vec<u8>, Vec<(String, String)>), Error>;

/// Decodes pieces.
fn decode<'a>(
    verified: &Verified,
    streaming: Streaming,
    length: Option<u64>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Decoded {
    let mut decoder = Decoder::new(streaming, verified.chain(), length);
    let mut out = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let step = decoder.step(rest)?;
            out.extend_from_slice(&rest[step.data.clone()]);
            assert!(step.consumed > 0 && step.data.end <= step.consumed);
            rest = &rest[step.consumed..];
        }
    }
    Ok((out, decoder.finish()?))
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_example_without_trailer() {
    let (mut encoder, verified) = request(SIGNED);
    let data = vec![b'a'; 66_560];
    let mut body = encoder.chunk(&data[..65_536]);
    body.extend(encoder.chunk(&data[65_536..]));
    body.extend(encoder.end(&[]));
    assert_eq!(body.len(), 66_824);
    for signature in [
        "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
        "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
        "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
    ] {
        assert!(contains(&body, signature), "{signature}");
    }
    assert_eq!(decode(&verified, SIGNED, Some(66_560), [body.as_slice()]), Ok((data, Vec::new())));
}

#[test]
fn the_example_with_trailer() {
    let (mut encoder, verified) = request(SIGNED_TRAILER);
    let data = vec![b'a'; 66_560];
    let mut body = encoder.chunk(&data[..65_536]);
    body.extend(encoder.chunk(&data[65_536..]));
    body.extend(encoder.end(&[("x-amz-checksum-crc32c", "sOO8/Q==")]));
    for signature in [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n",
        "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    ] {
        assert!(contains(&body, signature), "{signature}");
    }
    let trailer = vec![("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())];
    assert_eq!(decode(&verified, SIGNED_TRAILER, Some(66_560), [body.as_slice()]), Ok((data, trailer)));
}

/// A short body of every kind.
fn short(streaming: Streaming) -> (Vec<u8>, Verified) {
    let (mut encoder, verified) = request(streaming);
    let mut body = encoder.chunk(b"hello, ");
    body.extend(encoder.chunk(b"world\r\n0\r\n"));
    body.extend(encoder.end(if streaming.trailer { &[("x-amz-checksum-crc32c", "AAAAAA==")] } else { &[] }));
    (body, verified)
}

const KINDS: [Streaming; 3] = [SIGNED, SIGNED_TRAILER, UNSIGNED];

#[test]
fn it_does_not_matter_where_a_body_is_cut() {
    for streaming in KINDS {
        let (body, verified) = short(streaming);
        let whole = decode(&verified, streaming, Some(17), [body.as_slice()]).expect("the whole");
        assert_eq!(whole.0, b"hello, world\r\n0\r\n");
        assert_eq!(whole.1.len(), usize::from(streaming.trailer));
        for size in 1..body.len() {
            assert_eq!(decode(&verified, streaming, None, body.chunks(size)).as_ref(), Ok(&whole), "{size}");
        }
        for first in 0..body.len() {
            for second in (first..body.len()).step_by(3) {
                let pieces = [&body[..first], &body[first..second], &body[second..]];
                assert_eq!(
                    decode(&verified, streaming, None, pieces).as_ref(),
                    Ok(&whole),
                    "{first} {second}"
                );
            }
        }
    }
}

#[test]
fn nothing_short_of_the_end_is_accepted() {
    for streaming in KINDS {
        let (body, verified) = short(streaming);
        for end in 0..body.len() {
            let got = decode(&verified, streaming, None, [&body[..end]]);
            assert_eq!(got, Err(Error::Incomplete), "{streaming:?} {end}");
        }
    }
}

#[test]
fn no_byte_of_a_signed_body_can_be_changed() {
    for streaming in [SIGNED, SIGNED_TRAILER] {
        let (body, verified) = short(streaming);
        let whole = decode(&verified, streaming, None, [body.as_slice()]).expect("the whole");
        for at in 0..body.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = body.clone();
                changed[at] ^= flip;
                // Upper case in a signature or a header's name says the same; nothing else may pass.
                if let Ok(got) = decode(&verified, streaming, None, [changed.as_slice()]) {
                    assert_eq!((got, flip), (whole.clone(), 0x20), "{at}");
                }
            }
        }
    }
}

#[test]
fn chunks_cannot_be_moved_dropped_or_added() {
    let (mut encoder, verified) = request(SIGNED);
    let (first, second, end) = (encoder.chunk(b"first"), encoder.chunk(b"second"), encoder.end(&[]));
    let refused = |parts: &[&[u8]]| {
        assert_eq!(decode(&verified, SIGNED, None, parts.iter().copied()), Err(Error::Mismatch));
    };
    refused(&[&second, &first, &end]);
    refused(&[&first, &end]);
    refused(&[&first, &first, &second, &end]);
    refused(&[&end]);
    assert!(decode(&verified, SIGNED, None, [first.as_slice(), &second, &end]).is_ok());
}

#[test]
fn the_announced_length_is_kept() {
    let (body, verified) = short(SIGNED);
    assert!(matches!(decode(&verified, SIGNED, Some(16), [body.as_slice()]), Err(Error::Body(_))));
    assert_eq!(decode(&verified, SIGNED, Some(18), [body.as_slice()]), Err(Error::Incomplete));
}

#[test]
fn what_is_no_body_in_chunks() {
    let (_, verified) = request(UNSIGNED);
    let refused = |text: &str| match decode(&verified, UNSIGNED, None, [text.as_bytes()]) {
        Err(error) => error,
        Ok(_) => panic!("accepted: {text}"),
    };
    let bad = |text: &str| assert!(matches!(refused(text), Error::Body(_)), "{text}");
    let large = |text: &str| assert!(matches!(refused(text), Error::TooLarge(_)), "{text}");
    bad("x\r\n");
    bad("\r\n");
    bad("-1\r\n");
    bad("+1\r\na\r\n");
    bad("1\na\r\n0\r\na:b\r\n\r\n");
    bad("1;other=1\r\na");
    bad("1;chunk-signature=00\r\na");
    bad("1\r\nab\r\n");
    bad("1\r\na\n\r");
    // The trailer is not optional where it was announced.
    bad("1\r\na\r\n0\r\n\r\n");
    bad("0\r\nno colon\r\n\r\n");
    bad("0\r\na:b\r\nx-amz-trailer-signature:00\r\nc:d\r\n\r\n");
    bad("0\r\na:b\r\n\r\nmore");
    bad("0\r\na:b\r\n\r\n\r\n\r\n\r\n");
    large("800001\r\n");
    large("ffffffffffffffff\r\n");
    large("fffffffffffffffffffff\r\n");
    large(&"0".repeat(300));
    large(&format!("0\r\na:{}", "b".repeat(9000)));
    assert!(decode(&verified, UNSIGNED, None, [b"00001\r\na\r\n000\r\nA: b \r\n\r\n".as_slice()]).is_ok());
    // As minio's clients write it.
    assert!(decode(&verified, UNSIGNED, None, [b"0\r\na:b\n\r\n\r\n".as_slice()]).is_ok());
}

#[test]
fn signed_chunks_need_their_signatures() {
    let (_, verified) = request(SIGNED);
    let plain = b"1\r\na\r\n0\r\n\r\n".as_slice();
    assert!(matches!(decode(&verified, SIGNED, None, [plain]), Err(Error::Body(_))));
    let (mut encoder, verified) = request(SIGNED_TRAILER);
    let mut body = encoder.end(&[]);
    body.truncate(body.len() - 2);
    body.extend_from_slice(b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    assert_eq!(decode(&verified, SIGNED_TRAILER, None, [body.as_slice()]), Err(Error::Incomplete));
    // A trailer where none was announced.
    let (mut encoder, verified) = request(SIGNED);
    let body = encoder.end(&[("a", "b")]);
    assert!(matches!(decode(&verified, SIGNED, None, [body.as_slice()]), Err(Error::Body(_))));
}
