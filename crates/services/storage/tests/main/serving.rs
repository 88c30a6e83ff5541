//! What is said of a file that is served: its length, its type, to whom caches may give it.

use crate::world::{World, dedicated, role, user};
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use model::Caller;
use serde_json::{Value, json};

/// Status, headers and body of an answer.
async fn ask(world: &World, request: http::request::Builder) -> (u16, HeaderMap, Vec<u8>) {
    let response = world.storage.handle(request.body(Body::empty()).unwrap()).await;
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn get(path: &str) -> http::request::Builder {
    Request::builder().uri(path)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

async fn bucket(world: &World, name: &str, public: bool) {
    world.post("/bucket", &role("service_role"), json!({ "name": name, "public": public })).await.ok();
}

/// An object whose row says that it is of a type, whoever wrote that.
async fn of_type(world: &World, path: &str, mime: &str) {
    world.upload(path, &role("service_role"), "<script/>", true).await.ok();
    let (bucket, key) = path.split_once('/').unwrap();
    let mut session = world.database.connect().await;
    let sql = "update storage.objects set metadata = jsonb_set(metadata, '{mimetype}', to_jsonb($3::text)) \
               where bucket_id = $1 and name = $2";
    session.query(sql, &[pg::text(bucket), pg::text(key), pg::text(mime)]).await.unwrap();
}

#[tokio::test]
async fn no_file_runs_in_the_name_of_the_host() {
    let world = dedicated().await;
    bucket(&world, "open", true).await;
    for (mime, served, policy) in [
        ("text/html; charset=utf-8", "text/plain", ""),
        ("image/png", "image/png", ""),
        ("application/pdf", "application/pdf", ""),
        ("image/svg+xml", "image/svg+xml", "sandbox"),
        ("application/xhtml+xml", "application/xhtml+xml", "sandbox"),
        ("text/xml", "text/xml", "sandbox"),
        ("unknown/unknown", "unknown/unknown", "sandbox"),
        ("*/*", "application/octet-stream", ""),
        ("image/png;\n", "application/octet-stream", ""),
        ("", "application/octet-stream", ""),
    ] {
        of_type(&world, "open/f", mime).await;
        for method in [Method::GET, Method::HEAD] {
            let (status, headers, _) = ask(&world, get("/object/public/open/f").method(method)).await;
            assert_eq!((status, text(&headers, "content-type")), (200, served), "{mime}");
            assert_eq!(text(&headers, "content-security-policy"), policy, "{mime}");
            assert_eq!(text(&headers, "x-content-type-options"), "nosniff", "{mime}");
        }
    }
}

#[tokio::test]
async fn a_type_that_cannot_be_served_is_refused() {
    let world = dedicated().await;
    bucket(&world, "b", false).await;
    let service = role("service_role");
    let form = "--x\r\nContent-Disposition: form-data; name=\"contentType\"\r\n\r\nimage/png;\n\r\n\
                --x\r\nContent-Disposition: form-data; name=\"\"; filename=\"f\"\r\n\r\n<script/>\r\n--x--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=x")];
    let sent = world.send(Method::POST, "/object/b/f", &service, &headers, form.to_owned()).await;
    assert_eq!(sent.refusal().1, "InvalidMimeType");
}

#[tokio::test]
async fn a_file_is_as_long_as_it_is_whatever_its_row_says() {
    let world = dedicated().await;
    bucket(&world, "open", true).await;
    world.upload("open/k", &role("service_role"), "HTTP/1.1 200 OK", false).await.ok();
    let mut session = world.database.connect().await;
    session.batch("update storage.objects set metadata = jsonb_set(metadata, '{size}', '4')").await.unwrap();
    let (status, headers, body) = ask(&world, get("/object/public/open/k")).await;
    assert_eq!((status, text(&headers, "content-length"), body.len()), (200, "15", 15));
    // Which part is meant nobody can say.
    let part = get("/object/public/open/k").header("range", "bytes=0-3");
    assert_eq!(ask(&world, part).await.0, 500);
}

#[tokio::test]
async fn shared_caches_keep_no_private_file() {
    let world = dedicated().await;
    bucket(&world, "open", true).await;
    bucket(&world, "own", false).await;
    let service = role("service_role");
    for path in ["open/k", "own/k"] {
        let headers = [("content-type", "text/plain"), ("cache-control", "max-age=3600")];
        world.send(Method::POST, &format!("/object/{path}"), &service, &headers, "x").await.ok();
    }
    let seen = async |request: http::request::Builder| {
        let (status, headers, _) = ask(&world, request).await;
        assert_eq!(status, 200);
        let word = |name: &str| text(&headers, name).to_owned();
        (word("cache-control"), word("vary"))
    };
    let of = |control: &str, vary: &str| (control.to_owned(), vary.to_owned());
    let signed = |path: &str| get(path).header("authorization", format!("Bearer {service}"));
    // The object's own word: who sends `Authorization` is protected by that.
    assert_eq!(
        seen(signed("/object/authenticated/own/k")).await,
        of("max-age=3600", "authorization, apikey")
    );
    assert_eq!(seen(get("/object/public/open/k")).await, of("max-age=3600", ""));
    // By a key alone, as the gateway says it.
    for path in ["/object/authenticated/own/k", "/object/own/k", "/object/info/own/k"] {
        let by_key = get(path).extension(Caller::of_role("service_role"));
        assert_eq!(seen(by_key).await.0, "private, max-age=3600", "{path}");
    }
    let by_key = get("/object/open/k").extension(Caller::of_role("service_role"));
    assert_eq!(seen(by_key).await, of("max-age=3600", ""));
    let url = world.post("/object/sign/own/k", &service, json!({ "expiresIn": 60 })).await.ok();
    let (status, headers, _) = ask(&world, get(url["signedURL"].as_str().unwrap())).await;
    assert_eq!((status, text(&headers, "cache-control"), text(&headers, "vary")), (200, "", ""));
}

#[tokio::test]
async fn a_token_for_a_smaller_picture_opens_no_original() {
    let world = dedicated().await;
    bucket(&world, "own", false).await;
    let service = role("service_role");
    world.upload("own/k", &service, "x", false).await.ok();
    let sign = async |transform: Value| {
        let wanted = json!({ "expiresIn": 60, "transform": transform });
        let signed = world.post("/object/sign/own/k", &service, wanted).await.ok();
        signed["signedURL"].as_str().unwrap().to_owned()
    };
    let smaller = sign(json!({ "width": 10 })).await;
    let token = smaller.strip_prefix("/render/image/sign/own/k?").unwrap();
    let original = format!("/object/sign/own/k?{token}");
    assert_eq!(world.get(&original, &user(1)).await.refusal().1, "InvalidSignature");
    let whole = sign(json!({})).await;
    assert_eq!(world.get(&whole, &user(1)).await.bytes, "x");
}
