//! A provider: OpenID Connect with real signatures, the pages of plain OAuth, and everything it can do wrong.

use crate::world::{Answer, World};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use token::KeySet;
use uuid::Uuid;

pub const CLIENT: &str = "client one";
pub const SECRET: &str = "s3cret/+";

/// What a server can do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    None,
    /// Tokens without a signature.
    AlgNone,
    /// Tokens signed with the public key as the secret.
    PublicKeyAsSecret,
    /// Tokens of a key that the set does not have.
    UnknownKey,
    /// The right key id, another key.
    OtherKey,
    /// Tokens whose claims were changed after they were signed.
    Tampered,
    /// No answer at all, for ever.
    Silent,
    /// An answer that does not end.
    Huge,
    /// A refusal of every code.
    Refusing,
    /// Something that is not JSON.
    Garbage,
}

#[derive(Debug)]
struct Code {
    redirect_uri: String,
    challenge: String,
    nonce: String,
}

#[derive(Debug)]
struct State {
    twist: Twist,
    keys: KeySet,
    /// What the token endpoint answers besides the usual.
    beside: Map<String, Value>,
    /// The claims of ID tokens, and the page of people.
    person: Map<String, Value>,
    /// Other pages by path.
    pages: HashMap<String, Value>,
    document: Map<String, Value>,
    codes: HashMap<String, Code>,
    log: Vec<(String, HeaderMap, String)>,
    now: u64,
    id_tokens: bool,
}

/// A provider that listens on this machine until it is dropped.
pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn rsa() -> KeySet {
    let key: Value = serde_json::from_str(include_str!("../rsa_test_key.json")).unwrap();
    KeySet::from_json(&json!([key]).to_string()).unwrap()
}

pub fn ec(id: &str) -> KeySet {
    KeySet::from_json(&json!([token::new_es256_jwk(id)]).to_string()).unwrap()
}

impl Server {
    pub async fn start() -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            twist: Twist::None,
            keys: rsa(),
            beside: Map::new(),
            person: Map::new(),
            pages: HashMap::new(),
            document: Map::new(),
            codes: HashMap::new(),
            log: Vec::new(),
            now: 1_800_000_000,
            id_tokens: true,
        }));
        let (here, shared) = (url.clone(), Arc::clone(&state));
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let (url, state) = (here.clone(), Arc::clone(&shared));
            async move { answer(&url, &state, request).await }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let server = Server { url, state, task };
        server.person(
            json!({ "sub": "p-1", "email": "ann@example.com", "email_verified": true, "name": "Ann Lee" }),
        );
        server
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub fn twist(&self, twist: Twist) {
        self.with(|state| state.twist = twist);
    }

    pub fn keys(&self, keys: KeySet) {
        self.with(|state| state.keys = keys);
    }

    /// Plain OAuth from now on.
    pub fn without_id_tokens(&self) {
        self.with(|state| state.id_tokens = false);
    }

    /// Who signs in.
    pub fn person(&self, claims: Value) {
        self.with(|state| state.person = claims.as_object().unwrap().clone());
    }

    pub fn page(&self, path: &str, page: Value) {
        self.with(|state| state.pages.insert(path.to_owned(), page));
    }

    pub fn beside(&self, key: &str, value: Value) {
        self.with(|state| state.beside.insert(key.to_owned(), value));
    }

    pub fn document(&self, key: &str, value: Value) {
        self.with(|state| state.document.insert(key.to_owned(), value));
    }

    /// The time that tokens are made at.
    pub fn with_clock(&self, now: u64) {
        self.with(|state| state.now = now);
    }

    /// The pages of OAuth 1.0a.
    pub fn oauth1(&self, email: &str) {
        let user = json!({ "id_str": "tw-1", "screen_name": "ann", "name": "Ann", "email": email });
        self.page("/1.1/account/verify_credentials.json", user);
    }

    /// The requests to a path so far: their headers and bodies.
    pub fn asked(&self, path: &str) -> Vec<(HeaderMap, String)> {
        self.with(|state| {
            let of_path = state.log.iter().filter(|(asked, _, _)| asked == path);
            of_path.map(|(_, headers, body)| (headers.clone(), body.clone())).collect()
        })
    }

    /// An ID token as this server would sign it, with further claims.
    pub fn token(&self, more: Value) -> String {
        let url = self.url.clone();
        self.with(|state| mint(&url, state, &more))
    }

    /// Somebody with a browser: goes where `start` leads, agrees there, and comes back.
    pub async fn walk(&self, world: &World, start: &str) -> Answer {
        let back = self.consent(world, start).await;
        world.call("GET", &back, None, Value::Null).await
    }

    /// The same, up to the way back: path and query of our callback.
    pub async fn consent(&self, world: &World, start: &str) -> String {
        let away = world.call("GET", start, None, Value::Null).await;
        assert_eq!(away.status, 302, "{}", away.text);
        self.agree(away.header("location")).await
    }

    /// What the provider's redirect leads to, when somebody agrees there.
    pub async fn agree(&self, url: &str) -> String {
        assert!(url.starts_with(&self.url), "{url}");
        let client = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        let limits = outbound::Limits { timeout: Duration::from_secs(20), body: 1 << 20 };
        let answer = client.send(Request::get(url).body(Bytes::new()).unwrap(), limits).await.unwrap();
        assert_eq!(answer.status(), 302, "{url}");
        let back = answer.headers()["location"].to_str().unwrap();
        back.strip_prefix("http://127.0.0.1:54321/auth/v1").unwrap_or(back).to_owned()
    }
}

/// Parameters of a URL: those of the query, or with `#` those of the fragment.
pub fn parameters(url: &str, after: char) -> HashMap<String, String> {
    let part = url.split_once(after).map_or("", |(_, rest)| rest);
    let part = if after == '?' { part.split('#').next().unwrap() } else { part };
    form_urlencoded::parse(part.as_bytes()).into_owned().collect()
}

fn mint(url: &str, state: &State, more: &Value) -> String {
    let mut claims = state.person.clone();
    for (key, value) in [
        ("iss", json!(url)),
        ("aud", json!(CLIENT)),
        ("iat", json!(state.now)),
        ("exp", json!(state.now + 600)),
    ] {
        claims.entry(key).or_insert(value);
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        if value.is_null() {
            claims.remove(key);
        } else {
            claims.insert(key.clone(), value.clone());
        }
    }
    let claims = Value::Object(claims);
    let good = state.keys.sign(&claims).unwrap();
    let payload = good.split('.').nth(1).unwrap().to_owned();
    let key_id = || state.keys.signing_key().unwrap().id().unwrap().to_owned();
    match state.twist {
        Twist::AlgNone => format!("{}.{payload}.", B64.encode(r#"{"alg":"none","typ":"JWT"}"#)),
        Twist::PublicKeyAsSecret => {
            let public = state.keys.public_jwks()["keys"][0].to_string();
            let key = token::Key::hs256(public.as_bytes()).with_id(key_id());
            KeySet::from_keys(vec![key]).sign(&claims).unwrap()
        }
        Twist::UnknownKey => ec("nobody knows me").sign(&claims).unwrap(),
        Twist::OtherKey => {
            // The header says RS256 and the right key; the signature is another's.
            let (signed, _) = good.rsplit_once('.').unwrap();
            format!("{signed}.{}", B64.encode([7; 256]))
        }
        Twist::Tampered => {
            let mut claims = claims;
            claims["email"] = json!("victim@example.com");
            let payload = B64.encode(claims.to_string());
            let parts: Vec<&str> = good.split('.').collect();
            format!("{}.{payload}.{}", parts[0], parts[2])
        }
        _ => good,
    }
}

async fn answer(url: &str, state: &Arc<Mutex<State>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let twist = {
        let mut state = state.lock().unwrap();
        state.log.push((parts.uri.path().to_owned(), parts.headers.clone(), body.clone()));
        state.twist
    };
    if parts.uri.path() != "/authorize" {
        match twist {
            Twist::Silent => std::future::pending().await,
            Twist::Huge => return raw(200, "application/json", Body::from(vec![b' '; 3 << 20])),
            Twist::Garbage => return raw(200, "text/html", Body::from("<html>")),
            _ => {}
        }
    }
    let mut state = state.lock().unwrap();
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/.well-known/openid-configuration" | "/v2.0/.well-known/openid-configuration") => {
            json_of(200, &document(url, &state))
        }
        (&Method::GET, "/jwks") => json_of(200, &state.keys.public_jwks()),
        (&Method::GET, "/authorize" | "/login/oauth/authorize" | "/authorize-here") => {
            consent(&mut state, &parts.uri)
        }
        (&Method::POST, "/oauth/request_token") => oauth1(&parts.headers, "request-1", &[""]),
        (&Method::POST, "/oauth/access_token") if is_oauth1(&parts.headers) => {
            oauth1(&parts.headers, "access-1", &["oauth_token=\"request-1\"", "oauth_verifier=\"v\""])
        }
        (&Method::POST, path) if path != "/authorize" => tokens(url, &mut state, &parts.headers, &body),
        (&Method::GET, path) => page(&state, path, &parts.headers),
        _ => json_of(404, &json!({})),
    }
}

fn raw(status: u16, kind: &str, body: Body) -> Response<Body> {
    Response::builder().status(status).header("content-type", kind).body(body).unwrap()
}

fn json_of(status: u16, value: &Value) -> Response<Body> {
    raw(status, "application/json", Body::from(value.to_string()))
}

fn document(url: &str, state: &State) -> Value {
    let mut document = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "jwks_uri": format!("{url}/jwks"),
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "none", "HS256"],
    });
    document.as_object_mut().unwrap().extend(state.document.clone());
    document
}

fn consent(state: &mut State, uri: &Uri) -> Response<Body> {
    let asked = parameters(&uri.to_string(), '?');
    let say = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let code = Uuid::new_v4().to_string();
    let kept =
        Code { redirect_uri: say("redirect_uri"), challenge: say("code_challenge"), nonce: say("nonce") };
    let back = format!("{}?code={code}&state={}", kept.redirect_uri, say("state"));
    state.codes.insert(code, kept);
    Response::builder().status(StatusCode::FOUND).header("location", back).body(Body::empty()).unwrap()
}

fn tokens(url: &str, state: &mut State, headers: &HeaderMap, body: &str) -> Response<Body> {
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let say = |name: &str| form.get(name).map_or("", String::as_str);
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic =
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", encode(CLIENT), encode(SECRET)));
    let by_header =
        headers.get("authorization").is_some_and(|value| value == format!("Basic {basic}").as_str());
    if !by_header && (say("client_id"), say("client_secret")) != (CLIENT, SECRET) {
        return json_of(401, &json!({ "error": "invalid_client" }));
    }
    // Used up by whoever presents it.
    let code = state.codes.remove(say("code")).filter(|code| {
        let challenge = B64.encode(token::sha256(say("code_verifier").as_bytes()));
        code.redirect_uri == say("redirect_uri") && (code.challenge.is_empty() || code.challenge == challenge)
    });
    let Some(code) = code.filter(|_| state.twist != Twist::Refusing) else {
        return json_of(400, &json!({ "error": "invalid_grant" }));
    };
    let mut answer =
        json!({ "access_token": "their-access", "refresh_token": "their-refresh", "token_type": "bearer" });
    if state.id_tokens {
        let nonce = if code.nonce.is_empty() { Value::Null } else { json!(code.nonce) };
        let half = ring_half("their-access");
        answer["id_token"] = json!(mint(url, state, &json!({ "nonce": nonce, "at_hash": half })));
    }
    answer.as_object_mut().unwrap().extend(state.beside.clone());
    json_of(200, &answer)
}

/// `at_hash` of a token that is signed with a hash of 256 bits.
pub fn ring_half(access_token: &str) -> String {
    B64.encode(&token::sha256(access_token.as_bytes())[..16])
}

fn is_oauth1(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value.to_str().unwrap().starts_with("OAuth "))
}

/// A token of OAuth 1.0a for a request that is signed and says all this.
fn oauth1(headers: &HeaderMap, token: &str, wanted: &[&str]) -> Response<Body> {
    let header = headers["authorization"].to_str().unwrap();
    if !header.contains("oauth_signature=") || wanted.iter().any(|part| !header.contains(part)) {
        return json_of(401, &json!({}));
    }
    let form = format!("oauth_token={token}&oauth_token_secret=hush&oauth_callback_confirmed=true");
    raw(200, "text/html", Body::from(form))
}

fn page(state: &State, path: &str, headers: &HeaderMap) -> Response<Body> {
    let is_signed = is_oauth1(headers) && headers["authorization"].to_str().unwrap().contains("access-1");
    if !is_signed && headers.get("authorization").is_none_or(|value| value != "Bearer their-access") {
        return json_of(401, &json!({ "message": "Bad credentials" }));
    }
    match state.pages.get(path) {
        Some(page) => json_of(200, page),
        None if path == "/userinfo" => json_of(200, &Value::Object(state.person.clone())),
        None => json_of(404, &json!({ "message": "Not Found" })),
    }
}
