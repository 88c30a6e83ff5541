//! Signed requests and URLs.

use sigv4::{Error, Payload, Presented, Regions, Request, Verified};
use time::{Duration, OffsetDateTime};

use super::{ACCESS_KEY, SECRET, Server, at, signer};

const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const S3_TIME: &str = "20130524T000000Z";
const S3_HOST: &str = "examplebucket.s3.amazonaws.com";

type Headers<'a> = Vec<(&'a str, &'a str)>;

/// A request of AWS's general test suite, which signs for a service named `service`.
fn suite(method: &str, path: &str, query: &str, headers: &Headers<'_>, signed: &str, signature: &str) {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders={signed}, Signature={signature}"
    );
    let mut all = headers.clone();
    all.extend([("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")]);
    all.push(("authorization", &authorization));
    let request = Request { method, path, query, headers: &all };
    let server = Server::at("example.amazonaws.com");
    let expected = server.expected("service", at("20150830T123600Z"));
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let presented = Presented::read(&request).expect("a signature");
    presented
        .verify(&request, &[secret], &expected)
        .unwrap_or_else(|error| panic!("{method} {path}?{query}: {error}"));
    assert_eq!(presented.verify(&request, &["another"], &expected).err(), Some(Error::Mismatch));
    let other = Request { path: "/other", ..request };
    assert_eq!(presented.verify(&other, &[secret], &expected).err(), Some(Error::Mismatch));
}

#[test]
fn the_general_suite() {
    let none = Vec::new();
    let plain = "host;x-amz-date";
    suite("GET", "/", "", &none, plain, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    suite("POST", "/", "", &none, plain, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    let query = "Param2=value2&Param1=value1";
    suite(
        "GET",
        "/",
        query,
        &none,
        plain,
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    );
    let query = "Param1=value1";
    suite(
        "GET",
        "/",
        query,
        &none,
        plain,
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    );
    let path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    suite("GET", path, "", &none, plain, "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f");
    let headers = vec![("my-header1", " value1"), ("my-header2", " \"a   b   c\"")];
    let signed = "host;my-header1;my-header2;x-amz-date";
    let signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736";
    suite("GET", "/", "", &headers, signed, signature);
}

/// The signature that we, as a client, would send.
fn signature_of(method: &str, path: &str, query: &str, headers: &Headers<'_>, payload: &str) -> String {
    let mut all = vec![("host", S3_HOST)];
    all.extend(headers);
    let request = Request { method, path, query, headers: &all };
    let signed = signer("s3").sign(&request, payload, at(S3_TIME));
    let mut sent = all.clone();
    sent.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let sent = Request { headers: &sent, ..request };
    let presented = Presented::read(&sent).expect("a signature");
    assert_eq!(presented.credential.access_key, ACCESS_KEY);
    let server = Server::at(S3_HOST);
    presented.verify(&sent, &[SECRET], &server.expected("s3", at(S3_TIME))).expect("our own signature");
    let authorization = sent.header("authorization").expect("the header");
    authorization.rsplit('=').next().expect("the signature").to_owned()
}

#[test]
fn the_examples_of_s3() {
    let range = vec![("range", "bytes=0-9")];
    assert_eq!(
        signature_of("GET", "/test.txt", "", &range, NOTHING),
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
    let put = vec![("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    assert_eq!(
        signature_of("PUT", "/test%24file.text", "", &put, hash),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    );
    assert_eq!(
        signature_of("GET", "/", "lifecycle", &Vec::new(), NOTHING),
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    );
    assert_eq!(
        signature_of("GET", "/", "max-keys=2&prefix=J", &Vec::new(), NOTHING),
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    );
}

fn presigned(
    query: &str,
    method: &str,
    headers: &Headers<'_>,
    now: OffsetDateTime,
) -> Result<Verified, Error> {
    let mut all = vec![("host", S3_HOST)];
    all.extend(headers);
    let request = Request { method, path: "/test.txt", query, headers: &all };
    let server = Server::at(S3_HOST);
    Presented::read(&request)?.verify(&request, &[SECRET], &server.expected("s3", now))
}

#[test]
fn presigned_urls() {
    let request = Request { method: "GET", path: "/test.txt", query: "", headers: &[("host", S3_HOST)] };
    let query = signer("s3").presign(&request, Duration::seconds(86_400), at(S3_TIME));
    assert!(
        query.ends_with("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    );
    let (day, minute) = (Duration::days(1), Duration::minutes(1));
    let none = Vec::new();
    assert_eq!(presigned(&query, "GET", &none, at(S3_TIME) + day).map(|v| v.payload), Ok(Payload::Unsigned));
    assert_eq!(presigned(&query, "GET", &none, at(S3_TIME) + day + minute).err(), Some(Error::Expired));
    assert_eq!(presigned(&query, "GET", &none, at(S3_TIME) - day).err(), Some(Error::Skewed));
    assert_eq!(presigned(&query, "PUT", &none, at(S3_TIME)).err(), Some(Error::Mismatch));
    assert_eq!(presigned(&format!("{query}&acl"), "GET", &none, at(S3_TIME)).err(), Some(Error::Mismatch));
    assert_eq!(
        presigned(&query.replace("86400", "86401"), "GET", &none, at(S3_TIME)).err(),
        Some(Error::Mismatch)
    );
    // A holder may add what AWS does not care about, but not what changes the request.
    let harmless =
        vec![("x-amz-user-agent", "x"), ("user-agent", "y"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    assert!(presigned(&query, "GET", &harmless, at(S3_TIME)).is_ok());
    let copy = vec![("x-amz-copy-source", "/other/secret")];
    assert_eq!(presigned(&query, "GET", &copy, at(S3_TIME)).err(), Some(Error::Unsigned));
    // Without a lifetime, a URL is as good as a header.
    let request = Request { query: "a=b", ..request };
    let query = signer("s3").presign(&request, Duration::ZERO, at(S3_TIME));
    assert_eq!(presigned(&query, "GET", &none, at(S3_TIME) + minute).err(), Some(Error::Expired));
}

#[test]
fn clocks_may_be_a_little_apart() {
    let headers = [("host", S3_HOST)];
    let request = Request { method: "GET", path: "/", query: "", headers: &headers };
    let signed = signer("s3").sign(&request, NOTHING, at(S3_TIME));
    let mut sent = headers.to_vec();
    sent.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let request = Request { headers: &sent, ..request };
    let presented = Presented::read(&request).expect("a signature");
    let server = Server::at(S3_HOST);
    let verified = |minutes| {
        let now = at(S3_TIME) + Duration::minutes(minutes);
        presented.verify(&request, &[SECRET], &server.expected("s3", now)).map(|_| ())
    };
    assert_eq!([verified(-15), verified(0), verified(15)], [Ok(()); 3]);
    assert_eq!([verified(-16), verified(16)], [Err(Error::Skewed); 2]);
}

#[test]
fn the_names_we_go_by() {
    let headers = [("host", "proxy.example.com")];
    let request =
        Request { method: "GET", path: "/storage/v1/s3/b/a%20(1).txt", query: "", headers: &headers };
    // The client signs the path as S3 writes it and sends fewer escapes.
    let signing = Request { path: "/storage/v1/s3/b/a%20%281%29.txt", ..request };
    let signed = signer("s3").sign(&signing, NOTHING, at(S3_TIME));
    let mut sent = vec![("host", "10.0.0.1:8080")];
    sent.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let received = Request { path: "/b/a%20(1).txt", headers: &sent, ..request };
    let presented = Presented::read(&received).expect("a signature");
    let server = |hosts: &[&str], prefixes: &[&str]| Server {
        hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
    };
    let verified = |server: Server| {
        presented.verify(&received, &[SECRET], &server.expected("s3", at(S3_TIME))).map(|_| ())
    };
    assert_eq!(verified(server(&["10.0.0.1:8080", "proxy.example.com"], &["", "/storage/v1/s3/"])), Ok(()));
    assert_eq!(verified(server(&["10.0.0.1:8080"], &["/storage/v1/s3"])), Err(Error::Mismatch));
    assert_eq!(verified(server(&["proxy.example.com"], &[""])), Err(Error::Mismatch));
    assert_eq!(verified(server(&[], &[])), Err(Error::Mismatch));
}

/// A request that is signed for one of many names, with a header of so many bytes.
fn tried(names: usize, bytes: usize) -> Result<(), Error> {
    let long = "x".repeat(bytes);
    let headers = [("host", S3_HOST), ("x-amz-meta-long", long.as_str())];
    let request = Request { method: "GET", path: "/", query: "", headers: &headers };
    let signed = signer("s3").sign(&request, NOTHING, at(S3_TIME));
    let mut sent = headers.to_vec();
    sent.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let request = Request { headers: &sent, ..request };
    let mut hosts: Vec<String> = (1..names).map(|n| format!("h{n}")).collect();
    hosts.push(S3_HOST.to_owned());
    let server = Server { hosts, prefixes: vec![String::new()] };
    let expected = server.expected("s3", at(S3_TIME));
    Presented::read(&request)?.verify(&request, &["another", SECRET], &expected).map(|_| ())
}

#[test]
fn names_are_tried_as_far_as_hashing_them_is_cheap() {
    assert_eq!(tried(50, 8 << 10), Ok(()), "an ordinary request by all names");
    assert_eq!(tried(5, 100 << 10), Ok(()));
    assert_eq!(tried(16, 100 << 10), Err(Error::Mismatch), "more than a mebibyte to be hashed");
}

#[test]
fn regions_and_services() {
    let verified = |region: &str, enforced: bool, service: &str| {
        let headers = [("host", S3_HOST)];
        let request = Request { method: "GET", path: "/", query: "", headers: &headers };
        let mut signer = signer("s3");
        region.clone_into(&mut signer.region);
        let signed = signer.sign(&request, NOTHING, at(S3_TIME));
        let mut sent = headers.to_vec();
        sent.extend(signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let request = Request { headers: &sent, ..request };
        let server = Server::at(S3_HOST);
        let mut expected = server.expected(service, at(S3_TIME));
        expected.regions = Regions { ours: "local", enforced };
        Presented::read(&request)?.verify(&request, &[SECRET], &expected).map(|_| ())
    };
    for region in ["local", "us-east-1", "auto", ""] {
        assert_eq!(verified(region, false, "s3"), Ok(()), "{region}");
    }
    assert_eq!(verified("eu-west-1", false, "s3"), Err(Error::Mismatch));
    assert_eq!(verified("us-east-1", true, "s3"), Err(Error::Mismatch));
    assert_eq!(verified("local", true, "s3"), Ok(()));
    assert!(matches!(verified("local", false, "s3vectors"), Err(Error::Malformed(_))));
}
