//! Buckets that take only some types look at what the bytes say.

use crate::place::{Place, halves, place, place_with, service};
use axum::body::Body;
use http::Method;
use image::ImageFormat;
use serde_json::json;

const PAGE: &str = "<!DOCTYPE html><html><script>alert(1)</script></html>";

async fn pictures_only(place: &Place) {
    let body = json!({ "name": "pictures", "public": true, "allowed_mime_types": ["image/*"] });
    assert_eq!(place.post("/bucket", &body).await.status, 200);
}

#[tokio::test]
async fn a_page_is_no_picture() {
    let place = place().await;
    pictures_only(&place).await;
    place.upload("pictures/a.png", "image/png", halves(4, 4, ImageFormat::Png)).await;
    for long in [0, 200 * 1024] {
        let file = format!("{PAGE}{}", " ".repeat(long));
        let refused = place.upload_as(&service(), "pictures/b.png", "image/png", file.clone()).await;
        assert_eq!(refused.refusal().1, "415");
        assert_eq!(refused.json()["error"], "invalid_mime_type");
        assert_eq!(place.bodies().await, 1);
        place.upload("open/b.png", "image/png", file).await;
        assert_eq!(place.bodies().await, 2, "a bucket without a list takes everything");
        let bearer = format!("Bearer {}", service());
        let headers = [("authorization", bearer.as_str())];
        let gone = place.send(Method::DELETE, "/object/open/b.png", &headers, Body::empty()).await;
        assert_eq!(gone.status, 200);
    }
}

#[tokio::test]
async fn looking_can_be_switched_off() {
    let place = place_with(|machinery| machinery, |settings| settings.sniff_types = false).await;
    pictures_only(&place).await;
    place.upload("pictures/b.png", "image/png", PAGE).await;
}
