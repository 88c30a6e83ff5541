//! Listings of both versions by the S3 protocol.

use crate::client::Client;
use crate::world::{World, dedicated, pooled, shard};

const KEYS: [&str; 8] = ["a", "b/1", "b/2", "b/c/3", "b-", "d e+f", "g&<h", "z//y"];

async fn filled(world: World) -> World {
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    for key in KEYS.iter().filter(|key| !key.contains('<')) {
        s3.put(&format!("/b/{}", sigv4::encode_path(key)), key.as_bytes()).await.ok();
    }
    world
}

async fn worlds() -> [World; 2] {
    [filled(dedicated().await).await, filled(pooled(&shard().await, 1).await).await]
}

/// Keys of all pages of a listing of version 2, and its common prefixes.
async fn pages(s3: &Client<'_>, query: &str) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes, mut more) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = s3.get(&format!("/b?list-type=2&{query}{more}")).await.ok();
        keys.extend(page.all("Key").into_iter().map(str::to_owned));
        prefixes.extend(page.all("CommonPrefixes").into_iter().map(str::to_owned));
        if page.one("IsTruncated") == "false" {
            return (keys, prefixes);
        }
        more = format!("&continuation-token={}", sigv4::encode(page.one("NextContinuationToken")));
    }
}

#[tokio::test]
async fn keys_come_in_the_order_of_their_bytes() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        let all = s3.get("/b?list-type=2").await.ok();
        assert_eq!(all.all("Key"), ["a", "b-", "b/1", "b/2", "b/c/3", "d e+f", "z//y"]);
        assert_eq!((all.one("KeyCount"), all.one("MaxKeys"), all.one("Size")), ("7", "1000", "1"));
        assert_eq!(all.one("ETag"), "&quot;0cc175b9c0f1b6a831c399e269772661&quot;");
        assert!(all.one("LastModified").ends_with('Z'));
        let folded = s3.get("/b?list-type=2&delimiter=%2F").await.ok();
        assert_eq!(folded.all("Key"), ["a", "b-", "d e+f"]);
        assert_eq!(folded.all("CommonPrefixes"), ["<Prefix>b/</Prefix>", "<Prefix>z/</Prefix>"]);
        assert_eq!(folded.one("KeyCount"), "5");
        let below = s3.get("/b?list-type=2&delimiter=%2F&prefix=b%2F").await.ok();
        assert_eq!(
            (below.all("Key"), below.one("CommonPrefixes")),
            (vec!["b/1", "b/2"], "<Prefix>b/c/</Prefix>")
        );
        let after = s3.get("/b?list-type=2&start-after=b%2F1").await.ok();
        assert_eq!(after.all("Key"), ["b/2", "b/c/3", "d e+f", "z//y"]);
        let other = s3.get("/b?list-type=2&delimiter=c&prefix=b").await.ok();
        assert_eq!(
            (other.all("Key"), other.one("CommonPrefixes")),
            (vec!["b-", "b/1", "b/2"], "<Prefix>b/c</Prefix>")
        );
        let url = s3.get("/b?list-type=2&encoding-type=url&prefix=d").await.ok();
        assert_eq!((url.all("Key"), url.one("EncodingType")), (vec!["d%20e%2Bf"], "url"));
    }
}

#[tokio::test]
async fn pages_of_every_size_say_the_same() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        for query in ["", "delimiter=%2F&", "prefix=b&delimiter=%2F&", "delimiter=b&"] {
            let whole = pages(&s3, query).await;
            for size in 1..8 {
                assert_eq!(pages(&s3, &format!("{query}max-keys={size}")).await, whole, "{query}{size}");
            }
        }
    }
}

#[tokio::test]
async fn the_first_version_goes_on_by_keys() {
    let world = filled(dedicated().await).await;
    let s3 = Client::of(&world);
    let page = s3.get("/b?max-keys=2").await.ok();
    assert_eq!(
        (page.all("Key"), page.one("IsTruncated"), page.one("NextMarker")),
        (vec!["a", "b-"], "true", "")
    );
    assert_eq!(s3.get("/b?max-keys=2&marker=b-").await.ok().all("Key"), ["b/1", "b/2"]);
    let page = s3.get("/b?max-keys=3&delimiter=%2F").await.ok();
    assert_eq!((page.one("NextMarker"), page.one("KeyCount")), ("b/", ""));
    let rest = s3.get("/b?max-keys=3&delimiter=%2F&marker=b%2F").await.ok();
    assert_eq!((rest.all("Key"), rest.one("CommonPrefixes")), (vec!["d e+f"], "<Prefix>z/</Prefix>"));
}

#[tokio::test]
async fn every_object_is_its_only_version() {
    let world = filled(dedicated().await).await;
    let s3 = Client::of(&world);
    let all = s3.get("/b?versions").await.ok();
    assert_eq!(all.all("Key"), ["a", "b-", "b/1", "b/2", "b/c/3", "d e+f", "z//y"]);
    assert_eq!((all.all("VersionId").len(), all.one("VersionId")), (7, "null"));
    let page = s3.get("/b?versions&max-keys=3&delimiter=%2F").await.ok();
    assert_eq!((page.all("Version").len(), page.one("NextKeyMarker")), (2, "b/"));
    let rest = s3.get("/b?versions&delimiter=%2F&key-marker=b%2F").await.ok();
    assert_eq!((rest.all("Key"), rest.one("CommonPrefixes")), (vec!["d e+f"], "<Prefix>z/</Prefix>"));
    assert_eq!(s3.delete("/b/a?versionId=null").await.status, 204);
    assert_eq!(s3.delete("/b/b-?versionId=1").await.refusal(), (501, "NotImplemented"));
}

#[tokio::test]
async fn wrong_parameters_are_told() {
    let world = filled(dedicated().await).await;
    let s3 = Client::of(&world);
    assert_eq!(s3.get("/b?list-type=3").await.refusal(), (400, "InvalidArgument"));
    assert_eq!(s3.get("/b?encoding-type=x").await.refusal(), (400, "InvalidArgument"));
    assert_eq!(s3.get("/b?max-keys=x").await.refusal(), (400, "InvalidRequest"));
    assert_eq!(s3.get("/b?list-type=2&continuation-token=x").await.refusal(), (400, "InvalidParameter"));
    assert_eq!(s3.get("/none?list-type=2").await.refusal(), (404, "NoSuchBucket"));
    assert_eq!(s3.get("/b?max-keys=0").await.ok().one("MaxKeys"), "1000");
    assert_eq!(s3.get("/b?max-keys=5000").await.ok().one("MaxKeys"), "1000");
}
