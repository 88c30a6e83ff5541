//! `/render/image/…` that is refused.

use crate::place::{Answer, halves, place, place_with, role, service};
use image::ImageFormat;
use serde_json::json;

fn assert_refused(answer: &Answer, inner: &str, code: &str, message: &str) {
    let refusal = answer.refusal();
    assert_eq!((refusal.1.as_str(), refusal.2.as_str(), refusal.3.as_str()), (inner, code, message));
    assert_eq!(refusal.0, if inner == "404" { 400 } else { inner.parse().unwrap() });
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
}

const NO_PICTURE: &str = "The source image is invalid or unsupported for rendering";

#[tokio::test]
async fn what_is_no_picture_is_an_invalid_request() {
    let place = place().await;
    // Begins like HEIF and is none that anybody reads.
    let heif = b"\0\0\0\x10ftypmif1\0\0\0\0";
    place.upload("open/a.heic", "image/heic", &heif[..]).await;
    place.upload("open/a.txt", "text/plain", "not an image").await;
    place.upload("open/empty", "image/png", "").await;
    for name in ["a.heic", "a.txt?width=1&height=1", "empty"] {
        let refused = place.get(&format!("/render/image/public/open/{name}")).await;
        assert_refused(&refused, "400", "InvalidRequest", NO_PICTURE);
        assert_eq!(refused.json()["error"], "InvalidRequest");
    }
}

#[tokio::test]
async fn wrong_parameters_are_said_before_anything_else() {
    let place = place().await;
    for (query, message) in [
        ("width=-1", "querystring/width must be >= 0"),
        ("quality=19", "querystring/quality must be >= 20"),
        ("gravity=obj", "querystring/gravity must be equal to one of the allowed values"),
    ] {
        let refused = place.get(&format!("/render/image/public/open/none?{query}")).await;
        assert_refused(&refused, "400", "InvalidRequest", message);
        assert_eq!(refused.json()["error"], "Error");
    }
    let focus = place.get("/render/image/public/open/none?gravity=fp").await.refusal().3;
    assert!(focus.contains("x_offset") && focus.contains("y_offset"), "{focus}");
}

#[tokio::test]
async fn only_who_may_read_sees_a_picture() {
    let place = place().await;
    place.upload("closed/p", "image/png", halves(8, 8, ImageFormat::Png)).await;
    let public = place.get("/render/image/public/closed/p").await;
    assert_refused(&public, "404", "NoSuchBucket", "Bucket not found");
    let hidden = place.get_as("/render/image/authenticated/closed/p", &role("authenticated")).await;
    assert_refused(&hidden, "404", "NoSuchKey", "Object not found");
    let nobody = place.get("/render/image/authenticated/closed/p").await;
    assert_eq!(nobody.refusal().3, "headers must have required property 'authorization'");
    assert_eq!(place.get_as("/render/image/authenticated/closed/p", &service()).await.size(), (8, 8));
    let mut session = place.database.connect().await;
    session
        .batch("create policy seen on storage.objects for select to authenticated using (name = 'p')")
        .await
        .unwrap();
    let seen = place.get_as("/render/image/authenticated/closed/p?width=4", &role("authenticated")).await;
    assert_eq!(seen.size(), (4, 4));
}

#[tokio::test]
async fn a_token_is_for_one_object_and_one_purpose() {
    let place = place().await;
    place.upload("closed/p", "image/png", halves(8, 8, ImageFormat::Png)).await;
    place.upload("closed/q", "image/png", halves(8, 8, ImageFormat::Png)).await;
    let body = json!({ "expiresIn": 60, "transform": { "width": 4 } });
    let signed = place.post("/object/sign/closed/p", &body).await.json();
    let token = signed["signedURL"].as_str().unwrap().split_once("token=").unwrap().1.to_owned();
    let other = place.get(&format!("/render/image/sign/closed/q?token={token}")).await;
    assert_refused(&other, "400", "InvalidSignature", "Invalid signature");
    let upload = place.post("/object/upload/sign/closed/new", &json!({})).await.json();
    let upload = upload["token"].as_str().unwrap();
    let purpose = place.get(&format!("/render/image/sign/closed/new?token={upload}")).await;
    assert_eq!(purpose.refusal().2, "InvalidSignature");
    assert_eq!(place.get("/render/image/sign/closed/p?token=nonsense").await.refusal().2, "InvalidJWT");
    let none = place.get("/render/image/sign/closed/p").await.refusal().3;
    assert_eq!(none, "querystring must have required property 'token'");
}

#[tokio::test]
async fn large_pictures_are_refused() {
    let place = place_with(|machinery| machinery, |settings| settings.images.pixels_max = Some(1000)).await;
    place.upload("open/p", "image/png", halves(40, 40, ImageFormat::Png)).await;
    let refused = place.get("/render/image/public/open/p?width=4").await;
    assert_refused(&refused, "400", "InvalidRequest", "The source image resolution is too large to process");
    place.upload("open/p", "image/png", halves(20, 20, ImageFormat::Png)).await;
    assert_eq!(place.get("/render/image/public/open/p?width=4").await.size(), (4, 4));
}

#[tokio::test]
async fn without_pictures_nothing_is_rendered() {
    let place = place_with(|machinery| machinery, |settings| settings.images.enabled = false).await;
    place.upload("open/p", "image/png", halves(4, 4, ImageFormat::Png)).await;
    let refused = place.get("/render/image/public/open/p").await;
    let message = "The feature imageTransformation is not enabled for this resource".to_owned();
    let code = "FeatureNotEnabled".to_owned();
    assert_eq!(refused.refusal(), (403, "409".to_owned(), code, message));
    let signed =
        place.post("/object/sign/open/p", &json!({ "expiresIn": 60, "transform": { "width": 4 } })).await;
    assert!(signed.json()["signedURL"].as_str().unwrap().starts_with("/object/sign/"));
    let place = crate::place::place().await;
    for path in [
        "/render",
        "/render/image",
        "/render/image/public/open",
        "/render/video/public/open/p",
        "/render/image/other/open/p",
    ] {
        assert_eq!(place.get(path).await.status, 404, "{path}");
    }
}
