//! Events: written with what happened, sent after it, once each.

use crate::world::{World, dedicated_with, role};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use model::Secret;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use storage::{Bell, Listener};
use tokio::net::TcpListener;
use tokio::sync::Notify;

#[derive(Debug)]
struct Silent;

impl Bell for Silent {
    fn ring(&self) {}
}

/// A server that keeps what it is sent, and refuses while it is told to.
#[derive(Clone, Default)]
pub struct Ear {
    /// Paths, keys and bodies.
    heard: Arc<Mutex<Vec<(String, String, Value)>>>,
    pub deaf: Arc<AtomicBool>,
    came: Arc<Notify>,
}

impl Ear {
    pub async fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ear = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let ear = ear.clone();
                let service = service_fn(move |request: Request<Incoming>| ear.clone().hear(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        format!("http://{address}/events")
    }

    async fn hear(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let key = request.headers()["authorization"].to_str().unwrap().to_owned();
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let status = if self.deaf.load(Ordering::Relaxed) { 503 } else { 200 };
        if status == 200 {
            self.heard.lock().unwrap().push((path, key, serde_json::from_slice(&body).unwrap()));
            self.came.notify_one();
        }
        Ok(Response::builder().status(status).body(Full::default()).unwrap())
    }

    pub fn last(&self) -> (String, String, Value) {
        self.heard.lock().unwrap().last().unwrap().clone()
    }

    pub fn messages(&self) -> Vec<Value> {
        self.heard.lock().unwrap().iter().map(|(_, _, message)| message.clone()).collect()
    }

    pub fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// Waits until so much was heard.
    pub async fn until(&self, count: usize) {
        while self.count() < count {
            self.came.notified().await;
        }
    }

    fn types(&self) -> Vec<String> {
        let mut types: Vec<String> = self
            .heard
            .lock()
            .unwrap()
            .iter()
            .map(|(_, _, event)| event["event"]["type"].as_str().unwrap().to_owned())
            .collect();
        types.sort();
        types
    }
}

async fn world(ear: &Ear, disabled: &[&str]) -> World {
    let url = ear.open().await;
    let disabled = disabled.iter().map(|word| (*word).to_owned()).collect();
    let world = dedicated_with(|settings| {
        settings.events = Some(Listener {
            url,
            key: Secret::new("listener's key"),
            disabled,
            outbound: outbound::Client::new(outbound::Reach::Anywhere).unwrap(),
            bell: Arc::new(Silent),
        });
    })
    .await;
    world.post("/bucket", &role("service_role"), json!({ "name": "a" })).await.ok();
    world
}

#[tokio::test]
async fn what_happens_is_told_and_what_is_refused_is_not() {
    let ear = Ear::default();
    let world = world(&ear, &[]).await;
    let service = role("service_role");
    world.upload("a/k", &service, "one", false).await.ok();
    assert_eq!(world.upload("a/k", &service, "two", false).await.status, 400);
    assert_eq!(world.upload("a/other", &role("anon"), "x", false).await.status, 400);
    world.upload("a/k", &service, "two", true).await.ok();
    let copy = json!({ "bucketId": "a", "sourceKey": "k", "destinationKey": "copy" });
    world.post("/object/copy", &service, copy).await.ok();
    let moved = json!({ "bucketId": "a", "sourceKey": "copy", "destinationKey": "moved" });
    world.post("/object/move", &service, moved).await.ok();
    world.send(Method::DELETE, "/object/a/moved", &service, &[], "").await.ok();
    assert_eq!(world.storage.deliver_events().await, None);
    let wanted = [
        "ObjectCreated:Copy",
        "ObjectCreated:Move",
        "ObjectCreated:Post",
        "ObjectCreated:Put",
        "ObjectRemoved:Delete",
        "ObjectRemoved:Move",
    ];
    assert_eq!(ear.types(), wanted);
    let heard = ear.heard.lock().unwrap().clone();
    let (_, key, first) = heard.iter().find(|(_, _, e)| e["event"]["type"] == "ObjectCreated:Post").unwrap();
    assert_eq!(key, "Bearer listener's key");
    let payload = &first["event"]["payload"];
    assert_eq!(
        (&payload["name"], &payload["bucketId"], &payload["uploadType"]),
        (&json!("k"), &json!("a"), &json!("standard"))
    );
    assert_eq!((payload["metadata"]["size"].as_u64(), &first["type"]), (Some(3), &json!("Webhook")));
    assert!(first["sentAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{}", first["sentAt"]);
    let (_, _, moved) = heard.iter().find(|(_, _, e)| e["event"]["type"] == "ObjectCreated:Move").unwrap();
    let payload = &moved["event"]["payload"];
    assert_eq!(payload["oldObject"]["name"], "copy");
    assert_eq!(payload["oldObject"]["version"], payload["version"], "a move keeps the body");
}

#[tokio::test]
async fn a_listener_that_is_away_hears_it_later_and_is_spared_what_it_does_not_want() {
    let ear = Ear::default();
    let world = world(&ear, &["ObjectRemoved:Delete"]).await;
    let service = role("service_role");
    ear.deaf.store(true, Ordering::Relaxed);
    world.upload("a/k", &service, "one", false).await.ok();
    world.send(Method::DELETE, "/object/a/k", &service, &[], "").await.ok();
    assert!(world.storage.deliver_events().await.is_some(), "it is to be tried again");
    assert!(ear.types().is_empty());
    ear.deaf.store(false, Ordering::Relaxed);
    world.database.connect().await.batch("update storage.event_outbox set next_at = now()").await.unwrap();
    assert_eq!(world.storage.deliver_events().await, None);
    assert_eq!(ear.types(), ["ObjectCreated:Post"]);
}

#[tokio::test]
async fn events_wait_for_a_listener_that_can_be_asked() {
    let ear = Ear::default();
    let url = ear.open().await;
    let world = dedicated_with(|settings| {
        settings.events = Some(Listener {
            url,
            key: Secret::new("no\nheader"),
            disabled: Vec::new(),
            outbound: outbound::Client::new(outbound::Reach::Anywhere).unwrap(),
            bell: Arc::new(Silent),
        });
    })
    .await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "a" })).await.ok();
    world.upload("a/k", &service, "one", false).await.ok();
    assert!(world.storage.deliver_events().await.is_some());
    let mut session = world.database.connect().await;
    let waiting = session.query("select 1 from storage.event_outbox", &[]).await.unwrap();
    assert_eq!((waiting.len(), ear.count()), (1, 0));
}
