//! An HTTP server of somebody else, on this machine: what it was asked, and what it answers.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use http::{HeaderMap, Response};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// A request that a server got.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn form(&self) -> HashMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Status, headers and body of an answer.
type Said = (u16, Vec<(&'static str, String)>, String);

#[derive(Default)]
struct Inner {
    asked: Mutex<Vec<Asked>>,
    /// What it says next; the last one again and again.
    answers: Mutex<VecDeque<Said>>,
    /// Something of this has changed.
    news: Notify,
}

/// The server.
#[derive(Clone)]
pub struct Peer {
    pub url: String,
    inner: Arc<Inner>,
}

impl Peer {
    pub async fn new() -> Peer {
        let inner = Arc::new(Inner::default());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let peer = Peer { url, inner };
        peer.says(200, "{}");
        peer
    }

    /// From now on it answers so, as JSON.
    pub fn says(&self, status: u16, body: impl ToString) {
        self.inner.answers.lock().unwrap().clear();
        self.then(status, &[("content-type", "application/json")], body);
    }

    /// After what it says now, it answers so.
    pub fn then(&self, status: u16, headers: &[(&'static str, &str)], body: impl ToString) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.inner.answers.lock().unwrap().push_back((status, headers, body.to_string()));
        self.inner.news.notify_waiters();
    }

    /// It has nothing to say until told: whoever asks waits.
    pub fn forget(&self) {
        self.inner.answers.lock().unwrap().clear();
        self.inner.asked.lock().unwrap().clear();
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Waits until so many have asked.
    pub async fn until_asked(&self, count: usize) {
        let wait = async {
            loop {
                let news = self.inner.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if self.asked().len() >= count {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("nobody asks");
    }

    /// What it was asked last.
    pub fn last(&self) -> Asked {
        self.asked().pop().expect("nobody asked")
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    inner.asked.lock().unwrap().push(Asked {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    inner.news.notify_waiters();
    let (status, headers, body) = loop {
        let news = inner.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        if let Some(said) = next(&inner) {
            break said;
        }
        news.await;
    };
    let response = headers
        .into_iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(name, value));
    response.body(Body::from(body)).unwrap()
}

fn next(inner: &Inner) -> Option<Said> {
    let mut answers = inner.answers.lock().unwrap();
    if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
}
