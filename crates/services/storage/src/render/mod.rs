//! Pictures made smaller on their way out: `/render/image/…`.
//!
//! The request says what is wanted (`transform`), the object is found as for a download, and the result comes from the
//! cache or from the renderer (`pictures`). ETag, times and caching are the source object's: a new version of it is
//! a new ETag, and the key of the cache names the version, so nothing stale is ever served.

mod pictures;
mod transform;

pub use pictures::Pictures;
pub(crate) use transform::Transform;

use crate::Storage;
use crate::call::Call;
use crate::caller::Identity;
use crate::db::Scope;
use crate::find::{Found, Right};
use crate::refusal::{self, Outcome};
use crate::routes::{Target, no_route, target};
use crate::serve::{self, Manner};
use crate::signed;
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use picture::Format;
use serde_json::Value;

const X_TRANSFORMATIONS: HeaderName = HeaderName::from_static("x-transformations");

/// Answers `GET|HEAD /render/…`.
pub(crate) async fn answer(storage: &Storage, call: &Call, rest: &str) -> Outcome<Response<Body>> {
    let Some(pictures) = storage.machinery.pictures.as_ref() else { return Err(no_route(call)) };
    if !storage.settings.images.enabled {
        return Err(refusal::disabled("imageTransformation"));
    }
    let Some((way, below)) = rest.strip_prefix("image/").and_then(|rest| rest.split_once('/')) else {
        return Err(no_route(call));
    };
    let target = target(below)?;
    if target.key.is_empty() {
        return Err(no_route(call));
    }
    let view = match way {
        "authenticated" => authenticated(storage, call, &target).await?,
        "public" => public(storage, call, &target).await?,
        "sign" => signed(storage, call, &target).await?,
        _ => return Err(no_route(call)),
    };
    show(storage, call, pictures, &view).await
}

/// A picture that somebody may see, and how.
struct View {
    found: Found,
    transform: Transform,
    manner: Manner,
}

async fn authenticated(storage: &Storage, call: &Call, target: &Target) -> Outcome<View> {
    let identity = call.identity(&storage.settings)?;
    let transform = asked(storage, call)?;
    let scope = call.scope(identity, "storage.render.image_authenticated");
    view(storage, &scope, Right::Caller, target, transform).await
}

async fn public(storage: &Storage, call: &Call, target: &Target) -> Outcome<View> {
    let transform = asked(storage, call)?;
    let scope = call.scope(Identity::anonymous(), "storage.render.image_public");
    view(storage, &scope, Right::Public, target, transform).await
}

/// What is wanted stands in the token, and nowhere else.
async fn signed(storage: &Storage, call: &Call, target: &Target) -> Outcome<View> {
    let token = call
        .query("token")
        .ok_or_else(|| refusal::schema("querystring must have required property 'token'"))?;
    let claims =
        signed::check_download(&storage.settings, token, &target.bucket, &target.key, call.unix_seconds())?;
    let word = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let transform = Transform::of_claim(word("transformations"), word("format"), &storage.settings.images)?;
    let scope = call.scope(Identity::service(), "storage.render.image_sign");
    let mut view = view(storage, &scope, Right::Token, target, transform).await?;
    view.manner.expires = claims.get("exp").and_then(Value::as_u64);
    Ok(view)
}

async fn view(
    storage: &Storage,
    scope: &Scope,
    right: Right,
    target: &Target,
    transform: Transform,
) -> Outcome<View> {
    let found = storage.find(scope, right, &target.bucket, &target.key).await?;
    Ok(View { found, transform, manner: Manner::default() })
}

fn asked(storage: &Storage, call: &Call) -> Outcome<Transform> {
    Transform::of_query(&call.query, &storage.settings.images)
}

/// The answer: the picture, or that the client has it already.
async fn show(storage: &Storage, call: &Call, pictures: &Pictures, view: &View) -> Outcome<Response<Body>> {
    let View { found, transform, manner } = view;
    let mut headers = storage.object_headers(call, found, *manner);
    add_transformations(&mut headers, transform);
    let negotiated = transform.format.is_none();
    if negotiated {
        headers.append(header::VARY, HeaderValue::from_static("accept"));
    }
    if serve::is_known(&call.headers, found) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        return Ok(serve::answer(StatusCode::NOT_MODIFIED, headers, Body::empty()));
    }
    if is_drawing(found) && transform.keeps_format() {
        return drawing(storage, call, found, headers).await;
    }
    let accepted = if negotiated { accepted(&call.headers) } else { None };
    let options = transform.options(accepted, storage.settings.images.pixels_max);
    // That was for the source, which may say that it is anything.
    headers.remove(header::CONTENT_SECURITY_POLICY);
    let rendered = pictures.rendered(storage, found, &options).await?;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(rendered.bytes.len()));
    let body = if call.method == Method::HEAD { Body::empty() } else { Body::from(rendered.bytes) };
    Ok(serve::answer(StatusCode::OK, headers, body))
}

/// A drawing has every size already: it is served as it is, as by the reference.
fn is_drawing(found: &Found) -> bool {
    crate::mime::essence(&found.metadata.mimetype).eq_ignore_ascii_case("image/svg+xml")
}

async fn drawing(
    storage: &Storage,
    call: &Call,
    found: &Found,
    mut headers: HeaderMap,
) -> Outcome<Response<Body>> {
    // It may hold scripts, which have no business here.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"),
    );
    if call.method == Method::HEAD {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(found.metadata.size));
        return Ok(serve::answer(StatusCode::OK, headers, Body::empty()));
    }
    Ok(serve::answer_with(StatusCode::OK, headers, storage.read(found, None).await?))
}

/// The better format that a client names. WebP goes before AVIF: it is what the reference chooses, and AVIF takes many
/// times longer to make.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let names = |format: Format| {
        headers.get_all(header::ACCEPT).iter().any(|value| {
            let named = |range: &str| {
                let (name, weight) = range.split_once(';').unwrap_or((range, ""));
                let refused = weight
                    .split(';')
                    .any(|parameter| parameter.trim().starts_with("q=0") && is_zero(parameter));
                name.trim().eq_ignore_ascii_case(format.content_type()) && !refused
            };
            value.to_str().is_ok_and(|text| text.split(',').any(named))
        })
    };
    [Format::Webp, Format::Avif].into_iter().find(|format| names(*format))
}

fn is_zero(weight: &str) -> bool {
    weight.trim().trim_start_matches("q=").parse().is_ok_and(|weight: f32| weight == 0.0)
}

fn add_transformations(headers: &mut HeaderMap, transform: &Transform) {
    serve::set(headers, X_TRANSFORMATIONS, &transform.header());
}

/// `HEAD` and `info` of an object say what a picture of it would be, and check it.
pub(crate) fn echo(storage: &Storage, call: &Call, response: &mut Response<Body>) -> Outcome<()> {
    if !call.query.is_empty() {
        add_transformations(response.headers_mut(), &asked(storage, call)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_formats_are_taken_when_named() {
        let of = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            accepted(&headers)
        };
        assert_eq!(of("image/avif,image/webp,*/*;q=0.8"), Some(Format::Webp));
        assert_eq!(of("text/html, image/AVIF;q=0.9"), Some(Format::Avif));
        assert_eq!(of("image/webp;q=0, image/avif;q=0.0"), None);
        assert_eq!(of("image/webp;q=0.01"), Some(Format::Webp));
        assert_eq!(of("image/*, */*"), None);
        assert_eq!(accepted(&HeaderMap::new()), None);
    }
}
