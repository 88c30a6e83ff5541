//! A gateway with two projects and services made for tests.

use axum::body::Body;
use gateway::{
    ApiKeys, BoxFuture, Gateway, KeyKind, Limits, Lookup, ProjectLimits, Projects, Service, Services,
    Settings, Slots, Tenant, serve,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use model::{Caller, ProjectRef, SystemClock};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub const FIRST: &str = "aaaaaaaaaaaaaaaaaaaa";
pub const SECOND: &str = "bbbbbbbbbbbbbbbbbbbb";
pub const SECRET_KEY: &str = token::LOCAL_SECRET_KEY;
const JWT_SECRETS: [&[u8]; 2] =
    [b"first secret of at least thirty-two bytes", b"second secret of at least thirty-two bytes"];

/// Answers with what it was asked. `/wait` answers only when told to, `/panic` panics, `/stream` streams,
/// `/long` has an answer that no socket holds.
struct Echo {
    name: &'static str,
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

impl Service for Echo {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match parts.uri.path() {
                "/wait" => {
                    self.entered.notify_one();
                    self.release.notified().await;
                }
                "/panic" => panic!("as asked"),
                "/own-cors" => {
                    let mut response = Response::new(Body::empty());
                    response
                        .headers_mut()
                        .insert("access-control-allow-origin", "https://one".parse().unwrap());
                    return response;
                }
                "/long" => return Response::new(Body::from(vec![b'x'; 64 << 20])),
                "/stream" => {
                    let chunks = ["a", "b", "c"].map(|c| Ok::<_, std::io::Error>(bytes::Bytes::from(c)));
                    return Response::new(Body::from_stream(futures_util::stream::iter(chunks)));
                }
                _ => {}
            }
            let length = body.collect().await.map(|body| body.to_bytes().len()).ok();
            let header = |name: &str| parts.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
            let forwarded = [
                "forwarded",
                "x-forwarded-host",
                "x-forwarded-port",
                "x-forwarded-prefix",
                "x-forwarded-proto",
            ]
            .map(header);
            let said = json!({
                "service": self.name,
                "method": parts.method.as_str(),
                "uri": parts.uri.to_string(),
                "caller": parts.extensions.get::<Caller>().map(|c| c.role.to_string()),
                "authorization": header("authorization"),
                "content-profile": header("content-profile"),
                "x-forwarded-for": header("x-forwarded-for"),
                "forwarded": forwarded,
                "x-request-id": header("x-request-id"),
                "length": length,
            });
            Response::new(Body::from(said.to_string()))
        })
    }
}

struct TwoProjects {
    first: Arc<Tenant>,
    second: Arc<Tenant>,
    has_default: bool,
}

impl Projects for TwoProjects {
    fn resolve(&self, lookup: Lookup) -> BoxFuture<'_, Result<Option<Arc<Tenant>>, fault::Fault>> {
        let found = match lookup {
            Lookup::Ref(reference) if reference.as_str() == FIRST => Some(&self.first),
            Lookup::Ref(reference) if reference.as_str() == SECOND => Some(&self.second),
            Lookup::Domain(name) if name == "api.second.test" => Some(&self.second),
            Lookup::KeyHash(hash) if hash == token::hash_opaque(SECRET_KEY) => Some(&self.first),
            Lookup::Default if self.has_default => Some(&self.first),
            _ => None,
        };
        let found = found.cloned();
        Box::pin(async move { Ok(found) })
    }
}

/// A running gateway.
pub struct House {
    pub address: SocketAddr,
    /// Told when a request has reached `/wait`.
    pub entered: Arc<Notify>,
    /// Lets one request leave `/wait`.
    pub release: Arc<Notify>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

/// What a test wants to be different.
pub struct Plan {
    pub limits: Limits,
    pub project: ProjectLimits,
    pub has_default: bool,
    pub keyless_auth: bool,
    pub trust_forwarded: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            limits: Limits::default(),
            project: ProjectLimits::default(),
            has_default: true,
            keyless_auth: false,
            trust_forwarded: false,
        }
    }
}

pub fn legacy(project: usize, role: &str) -> String {
    let keys = token::KeySet::from_secret(JWT_SECRETS[project]);
    token::legacy_key(&keys, [FIRST, SECOND][project], role, 1, 4_000_000_000).unwrap()
}

impl House {
    pub async fn open(plan: Plan) -> House {
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let service = |name| -> Option<Arc<dyn Service>> {
            Some(Arc::new(Echo { name, entered: Arc::clone(&entered), release: Arc::clone(&release) }))
        };
        let tenant = |index: usize| {
            let reference: ProjectRef = [FIRST, SECOND][index].parse().unwrap();
            let mut keys =
                ApiKeys::new(reference.clone()).with_legacy(token::KeySet::from_secret(JWT_SECRETS[index]));
            if index == 0 {
                keys = keys
                    .with_opaque(KeyKind::Secret, token::hash_opaque(SECRET_KEY))
                    .with_opaque(KeyKind::Publishable, token::hash_opaque(token::LOCAL_PUBLISHABLE_KEY));
            }
            let services = Services {
                rest: service("rest"),
                auth: service("auth"),
                storage: service("storage"),
                platform: service("platform"),
            };
            Arc::new(Tenant {
                reference,
                keys,
                slots: Slots::new(plan.project, &gateway::Memory::default()),
                services,
            })
        };
        let projects = TwoProjects { first: tenant(0), second: tenant(1), has_default: plan.has_default };
        let settings = Settings {
            base_domains: vec!["rowhouse.test".to_owned()],
            trust_forwarded: plan.trust_forwarded,
            keyless_auth: plan.keyless_auth,
            limits: plan.limits,
        };
        let gateway = Arc::new(Gateway::new(Arc::new(projects), settings, Arc::new(SystemClock)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, gateway, stop.clone()));
        House { address, entered, release, stop, served }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes and reads until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_all(&mut stream).await
    }

    /// One request. `headers` are lines.
    pub async fn send(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        self.send_body(method, path, headers, "").await
    }

    pub async fn send_body(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|line| line.starts_with("host:")) {
            text.push_str("host: localhost\r\n");
        }
        for line in headers {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        Answer::parse(&self.raw(text.as_bytes()).await)
    }

    pub async fn close(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.served).await.unwrap().unwrap();
    }
}

pub async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    read.expect("the server closes the connection").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}
