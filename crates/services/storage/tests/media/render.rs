//! `/render/image/…` that succeeds.

use crate::place::{halves, place, place_with, service};
use axum::body::Body;
use http::Method;
use image::ImageFormat;
use picture::{Budget, Cache, Renderer, Room};
use serde_json::json;
use storage::Pictures;

/// The picture was uploaded as `text/plain`: it is told by its bytes.
#[tokio::test]
async fn a_public_picture_is_made_smaller() {
    let place = place().await;
    place.upload("open/a/cat", "text/plain", halves(40, 20, ImageFormat::Jpeg)).await;
    let path = "/render/image/public/open/a/cat?quality=60&width=20&height=20&resize=contain";
    let seen = place.get(path).await;
    assert_eq!(seen.size(), (20, 10));
    let object = place.get("/object/public/open/a/cat").await;
    assert_eq!(seen.header("content-type"), "image/jpeg");
    assert_eq!(seen.header("x-transformations"), "height:20,width:20,resizing_type:fit,quality:60");
    assert_eq!(seen.header("content-length"), seen.bytes.len().to_string());
    for same in ["etag", "cache-control", "last-modified", "x-robots-tag"] {
        assert!(!seen.header(same).is_empty(), "{same}");
        assert_eq!(seen.header(same), object.header(same), "{same}");
    }
    let head = place.head(path).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    for same in ["content-type", "content-length", "etag", "x-transformations"] {
        assert_eq!(head.header(same), seen.header(same), "{same}");
    }
    let named = place.get(&format!("{path}&download=my cat.jpg").replace(' ', "%20")).await;
    assert_eq!(
        named.header("content-disposition"),
        "attachment; filename=my%20cat.jpg; filename*=UTF-8''my%20cat.jpg"
    );
}

#[tokio::test]
async fn all_modes_and_sides_are_understood() {
    let place = place().await;
    place.upload("open/p", "image/png", halves(80, 40, ImageFormat::Png)).await;
    for (query, size, transformations) in [
        ("", (80, 40), ""),
        ("width=40", (40, 20), "width:40,resizing_type:fill"),
        ("height=10&width=0", (20, 10), "height:10,resizing_type:fill"),
        ("width=20&height=20", (20, 20), "height:20,width:20,resizing_type:fill"),
        ("width=20&height=20&resize=fill", (20, 20), "height:20,width:20,resizing_type:force"),
        ("width=99999", (80, 40), "width:2000,resizing_type:fill"),
    ] {
        let seen = place.get(&format!("/render/image/public/open/p?{query}")).await;
        assert_eq!(seen.size(), size, "{query}");
        assert_eq!(seen.header("x-transformations"), transformations, "{query}");
    }
    for (gravity, first) in
        [("we", [255, 0, 0]), ("ea", [0, 0, 255]), ("fp&x_offset=1&y_offset=0", [0, 0, 255])]
    {
        let path = format!("/render/image/public/open/p?width=10&height=20&gravity={gravity}");
        let picture = place.get(&path).await.picture().to_rgb8();
        assert_eq!(picture.get_pixel(1, 1).0, first, "{gravity}");
    }
}

#[tokio::test]
async fn a_signed_picture_is_what_its_token_says() {
    let place = place().await;
    place.upload("closed/cat.png", "image/png", halves(40, 20, ImageFormat::Png)).await;
    let transform = json!({ "width": 10, "height": 10, "resize": "cover", "gravity": "fp", "x_offset": 0, "y_offset": 1 });
    let body = json!({ "expiresIn": 60, "transform": transform });
    let signed = place.post("/object/sign/closed/cat.png", &body).await.json();
    let url = signed["signedURL"].as_str().unwrap();
    assert!(url.starts_with("/render/image/sign/closed/cat.png?token="), "{url}");
    let seen = place.get(&format!("{url}&width=5")).await;
    assert_eq!(seen.size(), (10, 10), "the query does not count");
    assert_eq!(seen.header("x-transformations"), "height:10,width:10,resizing_type:fill,gravity:fp:0:1");
    assert!(!seen.header("expires").is_empty());
    assert_eq!(seen.header("cache-control"), "");
    let plain =
        place.post("/object/sign/closed/cat.png", &json!({ "expiresIn": 60, "transform": {} })).await.json();
    assert!(plain["signedURL"].as_str().unwrap().starts_with("/object/sign/"), "{plain}");
    let wrong = json!({ "expiresIn": 60, "transform": { "width": -1 } });
    let refused = place.post("/object/sign/closed/cat.png", &wrong).await;
    assert_eq!(refused.refusal().3, "body/transform/width must be >= 0");
}

#[tokio::test]
async fn the_client_s_format_is_taken_unless_another_was_asked_for() {
    let place = place().await;
    place.upload("open/p", "image/png", halves(20, 20, ImageFormat::Png)).await;
    for (query, accept, expected) in [
        ("", "image/avif,image/webp,*/*", "image/webp"),
        ("", "image/avif", "image/avif"),
        ("", "*/*", "image/png"),
        ("format=origin", "image/webp", "image/png"),
        ("format=avif", "image/webp", "image/avif"),
        ("format=webp", "", "image/webp"),
    ] {
        let path = format!("/render/image/public/open/p?width=16&{query}");
        let seen = place.send(Method::GET, &path, &[("accept", accept)], Body::empty()).await;
        assert_eq!((seen.status, seen.header("content-type")), (200, expected), "{query} {accept}");
        assert_eq!(seen.header("vary"), if query.is_empty() { "accept" } else { "" });
    }
}

/// The reference's own suite has such a file.
#[tokio::test]
async fn a_png_with_a_wrong_checksum_is_rendered() {
    let place = place().await;
    let mut file = halves(1, 1, ImageFormat::Png);
    let data = file.windows(4).position(|window| window == b"IDAT").unwrap();
    let length = u32::from_be_bytes(file[data - 4..data].try_into().unwrap()) as usize;
    file[data + 4 + length] ^= 0xff;
    place.upload("open/one.png", "image/png", file).await;
    let seen = place.get("/render/image/public/open/one.png?width=1&height=1").await;
    assert_eq!(seen.size(), (1, 1));
    let webp = place.get("/render/image/public/open/one.png?width=1&height=1&format=webp").await;
    assert_eq!(webp.header("content-type"), "image/webp");
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let place = place().await;
    place.upload("open/p", "image/png", halves(20, 20, ImageFormat::Png)).await;
    let path = "/render/image/public/open/p?width=10";
    let etag = place.get(path).await.header("etag").to_owned();
    let known = place.send(Method::GET, path, &[("if-none-match", &etag)], Body::empty()).await;
    assert_eq!((known.status, known.bytes.len(), known.header("etag")), (304, 0, etag.as_str()));
    place.upload("open/p", "image/png", halves(30, 15, ImageFormat::Png)).await;
    let changed = place.send(Method::GET, path, &[("if-none-match", &etag)], Body::empty()).await;
    assert_eq!(changed.size(), (10, 5), "a new version is a new picture");
    assert_ne!(changed.header("etag"), etag);
}

#[tokio::test]
async fn a_rendered_picture_is_kept() {
    let place = place().await;
    place.upload("open/p", "image/png", halves(20, 20, ImageFormat::Png)).await;
    let first = place.get("/render/image/public/open/p?width=10").await;
    assert_eq!(first.status, 200);
    for found in place.blobs.list(&place.project, None, 10).await.unwrap() {
        place.blobs.delete(&found.key).await.unwrap();
    }
    let again = place.get("/render/image/public/open/p?width=10").await;
    assert_eq!((again.status, &again.bytes), (200, &first.bytes));
    let other = place.get("/render/image/public/open/p?width=11").await.refusal();
    assert_eq!((other.2.as_str(), other.3.as_str()), ("NoSuchKey", "The resource was not found"));
}

#[tokio::test]
async fn many_who_ask_at_once_get_the_same() {
    let place = std::sync::Arc::new(place().await);
    place.upload("open/p", "image/png", halves(300, 300, ImageFormat::Png)).await;
    let ask = |_| {
        let place = std::sync::Arc::clone(&place);
        tokio::spawn(async move { place.get("/render/image/public/open/p?width=100").await })
    };
    let asked: Vec<_> = (0..20).map(ask).collect();
    for task in asked {
        assert_eq!(task.await.unwrap().size(), (100, 100));
    }
}

/// `HEAD` and `info` say what a picture would be.
#[tokio::test]
async fn transformations_are_echoed() {
    let place = place().await;
    place.upload("open/p", "image/png", halves(20, 20, ImageFormat::Png)).await;
    let bearer = format!("Bearer {}", service());
    for (method, path) in [
        (Method::HEAD, "/object/public/open/p"),
        (Method::HEAD, "/object/authenticated/open/p"),
        (Method::HEAD, "/object/open/p"),
        (Method::GET, "/object/info/public/open/p"),
        (Method::GET, "/object/info/open/p"),
    ] {
        let ask = |query: &str| {
            let path = format!("{path}?{query}");
            let (method, bearer, place) = (method.clone(), bearer.clone(), &place);
            async move { place.send(method, &path, &[("authorization", &bearer)], Body::empty()).await }
        };
        let answer = ask("width=100&height=200").await;
        assert_eq!(
            (answer.status, answer.header("x-transformations")),
            (200, "height:200,width:100,resizing_type:fill"),
            "{path}"
        );
        assert_eq!(ask("format=avif%0Amalicious").await.status, 400, "{path}");
        assert_eq!(ask("cacheNonce=1").await.header("x-transformations"), "", "{path}");
    }
}

#[tokio::test]
async fn a_drawing_is_served_as_it_is_and_runs_nothing() {
    let place = place().await;
    let text = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"8\" height=\"8\"/>";
    place.upload("open/d.svg", "image/svg+xml", text).await;
    let seen = place.get("/render/image/public/open/d.svg?width=4").await;
    assert_eq!((seen.status, seen.header("content-type")), (200, "image/svg+xml"));
    assert_eq!(
        (&seen.bytes[..], seen.header("x-transformations")),
        (text.as_bytes(), "width:4,resizing_type:fill")
    );
    assert!(seen.header("content-security-policy").contains("sandbox"));
    let other = place.get("/render/image/public/open/d.svg?format=webp").await;
    assert_eq!(other.status, 400);
}

/// The owner of a project may write into its rows. What an answer says of its length must hold nevertheless, or else the
/// rest of the body would be the next answer on a connection that others use as well.
#[tokio::test]
async fn the_length_of_an_answer_is_that_of_its_bytes() {
    let place = place().await;
    let text = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"8\" height=\"8\"/>";
    place.upload("open/d.svg", "image/svg+xml", text).await;
    for size in ["0", "3", "100000"] {
        let sql = format!("update storage.objects set metadata = metadata || '{{\"size\":{size}}}'");
        place.database.connect().await.batch(&sql).await.unwrap();
        for path in ["/object/public/open/d.svg", "/render/image/public/open/d.svg"] {
            let seen = place.get(path).await;
            assert_eq!((seen.status, &seen.bytes[..]), (200, text.as_bytes()), "{path}, {size}");
            assert_eq!(seen.header("content-length"), text.len().to_string(), "{path}, {size}");
        }
        let part = [("range", "bytes=0-1")];
        let part = place.send(Method::GET, "/object/public/open/d.svg", &part, Body::empty()).await;
        let refused = if size == "0" { "416" } else { "500" };
        assert_eq!(
            (part.json()["statusCode"].as_str(), part.header("content-range")),
            (Some(refused), ""),
            "{size}"
        );
    }
}

/// Clients that read slowly keep their results in memory: a project has as many on their way as there is room for.
#[tokio::test]
async fn results_on_their_way_are_bounded() {
    let source = halves(80, 40, ImageFormat::Png);
    let renderer = Renderer::new(picture::Settings::default());
    let options = picture::Options { width: Some(40), ..picture::Options::default() };
    let result = renderer.render("test", source.clone().into(), &options).await.unwrap().bytes.len() as u64;
    let dir = std::env::temp_dir().join(format!("rowhouse-outgoing-{}", std::process::id()));
    let cache = Cache::open(dir.clone(), Budget { total: 1 << 20, each: 1 << 20 }).await.unwrap();
    // Of what is cached, whole blocks are counted.
    for (cache, each) in [(None, result), (Some(cache), 4096)] {
        let pictures = Pictures::with_room(renderer.clone(), cache, Room::new(3 * each));
        let place = place_with(|machinery| machinery.with_pictures(pictures), |_| {}).await;
        place.upload("open/p", "image/png", source.clone()).await;
        let path = "/render/image/public/open/p?width=40";
        assert_eq!(place.get(path).await.size(), (40, 20));
        let request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        let slow = place.storage.handle(request).await;
        let refused = place.get(path).await;
        assert_eq!(
            (refused.json()["statusCode"].as_str(), refused.json()["code"].as_str()),
            (Some("429"), Some("SlowDown"))
        );
        drop(slow);
        assert_eq!(place.get(path).await.size(), (40, 20));
    }
    let _ = std::fs::remove_dir_all(dir);
}
