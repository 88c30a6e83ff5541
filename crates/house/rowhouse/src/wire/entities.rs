//! `/rowhouse/v1/entities`: the tables of a pooled project, for its service key.
//!
//! `GET` shows the stored model, `POST` or `PUT` brings the tables to the model in the body;
//! `?allow_destructive=true` permits what loses data, `?dry_run=true` only says what would be done.

use super::home::{Home, failed};
use axum::body::Body;
use fault::Fault;
use gateway::{BoxFuture, Service};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use platform::entities;
use serde_json::Value;
use std::sync::Arc;

/// The largest model.
const MODEL_BYTES_MAX: usize = 8 * 1024 * 1024;

pub(super) struct EntitiesService(pub(super) Arc<Home>);

impl Service for EntitiesService {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            match Box::pin(answer(&self.0, request)).await {
                Ok(value) => {
                    let mut response = Response::new(Body::from(value.to_string()));
                    let json = HeaderValue::from_static("application/json; charset=utf-8");
                    response.headers_mut().insert(header::CONTENT_TYPE, json);
                    response
                }
                // The platform's faults carry details, so they are shown as the data API shows its own.
                Err(fault) => failed(&fault, fault::rest_body(&fault)),
            }
        })
    }
}

async fn answer(home: &Home, request: Request<Body>) -> Result<Value, Fault> {
    if request.uri().path().trim_end_matches('/') != "/entities" {
        return Err(Fault::new(StatusCode::NOT_FOUND, "not_found", "There is no such path"));
    }
    let (project, wire) = (&home.resolved.project, home.wire()?);
    let platform = wire.platform();
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_set = |name: &str| query.split('&').any(|pair| pair == format!("{name}=true"));
    if method == Method::GET {
        return to_value(entities::show(platform, project).await?);
    }
    if method != Method::POST && method != Method::PUT {
        return Err(Fault::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Use GET, POST or PUT")
            .with_header(header::ALLOW, HeaderValue::from_static("GET, POST, PUT")));
    }
    let model = read(request.into_body()).await?;
    if is_set("dry_run") {
        return to_value(entities::plan(platform, project, &model).await?);
    }
    to_value(entities::apply(platform, project, &model, is_set("allow_destructive")).await?)
}

async fn read(body: Body) -> Result<Value, Fault> {
    let invalid = |message: &str| Fault::new(StatusCode::BAD_REQUEST, "bad_json", message);
    let bytes = Limited::new(body, MODEL_BYTES_MAX).collect().await.map_err(|_| {
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "request_entity_too_large", "The model is too large")
    })?;
    serde_json::from_slice(&bytes.to_bytes())
        .map_err(|error| invalid(&format!("The body is not JSON: {error}")))
}

fn to_value(value: impl serde::Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|error| {
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", "The answer cannot be written")
            .caused_by(error)
    })
}
