//! Single sign-on against an identity provider that signs for real.

use crate::world::{self, Answer, World, text};
use auth::Settings;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Request;
use idp::{Claims, Idp};
use model::Secret;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;

#[path = "../../../../ground/saml/tests/main/idp.rs"]
pub mod idp;

pub const IDP: &str = "https://idp.example.com";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

static KEY: LazyLock<String> = LazyLock::new(|| saml::SigningKey::generate().unwrap());

pub fn enable(settings: &mut Settings) {
    settings.saml.enabled = true;
    settings.saml.private_key = Secret::new(KEY.as_str());
}

/// A project with one identity provider.
pub struct Scene {
    pub world: World,
    pub idp: Idp,
    pub provider: String,
}

/// A sign-in on its way.
pub struct Begun {
    pub relay: String,
    pub request: String,
}

impl Scene {
    pub async fn new() -> Scene {
        Scene::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut Settings)) -> Scene {
        let world = World::with(|settings| {
            enable(settings);
            configure(settings);
        })
        .await;
        Scene::on(world).await
    }

    pub async fn on(world: World) -> Scene {
        let idp = Idp::new(IDP);
        let provider = add(&world, &idp, json!({ "domains": ["Example.com"] })).await;
        Scene { world, idp, provider: text(&provider, "/id").to_owned() }
    }

    /// What the identity provider says of somebody.
    pub fn claims(&self, name_id: &str) -> Claims {
        let base = &self.world.auth_url();
        let mut claims = Claims::new(
            &format!("{base}/sso/saml/metadata"),
            &format!("{base}/sso/saml/acs"),
            name_id,
            self.world.unix(),
        );
        claims.id = format!("_{}", uuid::Uuid::new_v4().simple());
        claims
    }

    pub async fn begin(&self, mut body: Value) -> Begun {
        body["skip_http_redirect"] = json!(true);
        if body.get("domain").is_none() {
            body["provider_id"] = json!(self.provider);
        }
        let answer = self.world.post("/sso", body).await.ok();
        let query = read_query(text(&answer, "/url"));
        let deflated = STANDARD.decode(&query["SAMLRequest"]).unwrap();
        let request = miniz_oxide::inflate::decompress_to_vec(&deflated).unwrap();
        let request = String::from_utf8(request).unwrap();
        let id = request.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        Begun { relay: query["RelayState"].clone(), request: id }
    }

    /// Posts a response as a browser does.
    pub async fn post(&self, response: &str, relay: &str) -> Answer {
        let encoded = STANDARD.encode(response);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLResponse", &encoded)
            .append_pair("RelayState", relay)
            .finish();
        let request = Request::post("/sso/saml/acs")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form));
        self.world.send(request.unwrap()).await
    }

    /// Signs somebody in without a request of ours.
    pub async fn arrive(&self, name_id: &str) -> Answer {
        self.post(&self.idp.answer(&self.claims(name_id)), "").await
    }
}

impl World {
    pub fn auth_url(&self) -> String {
        "http://127.0.0.1:54321/auth/v1".to_owned()
    }
}

pub async fn add(world: &World, idp: &Idp, mut body: Value) -> Value {
    body["type"] = json!("saml");
    body["metadata_xml"] = json!(idp.metadata());
    let answer = world.admin("POST", "/admin/sso/providers", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.body
}

fn read_query(url: &str) -> HashMap<String, String> {
    let query = url.split_once('#').or_else(|| url.split_once('?')).map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The tokens of a redirect.
#[track_caller]
pub fn session(answer: &Answer) -> HashMap<String, String> {
    assert_eq!(answer.status, 302, "{} {}", answer.text, answer.header("location"));
    let found = read_query(answer.header("location"));
    assert!(found.contains_key("access_token"), "{}", answer.header("location"));
    found
}

/// The error of a redirect.
#[track_caller]
pub fn error(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.header("location"));
    assert!(answer.header("location").starts_with("http://127.0.0.1:3000?"), "{}", answer.header("location"));
    read_query(answer.header("location"))["error_code"].clone()
}

#[tokio::test]
async fn people_sign_in_by_their_domain() {
    let scene = Scene::new().await;
    let begun =
        scene.begin(json!({ "domain": "example.COM", "redirect_to": "http://127.0.0.1:3000/in?x=1" })).await;
    let mut claims = scene.claims("Ann@Example.com");
    claims.in_response_to = Some(begun.request.clone());
    let answer = scene.post(&scene.idp.answer(&claims), &begun.relay).await;
    assert!(answer.header("location").starts_with("http://127.0.0.1:3000/in?x=1#access_token="));
    let tokens = session(&answer);
    let user = scene.world.get("/user", &tokens["access_token"]).await.ok();
    let provider = format!("sso:{}", scene.provider);
    assert_eq!(user["email"], json!("ann@example.com"));
    assert_eq!(user["app_metadata"], json!({ "provider": provider, "providers": [provider] }));
    assert_eq!(user["identities"][0]["id"], json!("ann@example.com"));
    assert_eq!(
        user["user_metadata"],
        json!({
            "iss": IDP, "sub": "ann@example.com", "email": "ann@example.com", "email_verified": true,
            "phone_verified": false, "custom_claims": {},
        })
    );
    assert!(user["email_confirmed_at"].is_string());
    let access = scene.world.claims(&tokens["access_token"]);
    assert_eq!(access["amr"][0]["method"], json!("sso/saml"));
    assert_eq!(access["amr"][0]["provider"], json!(scene.provider));
    assert_eq!(scene.world.sql("select is_sso_user from auth.users").await, "t");
    // The request was answered: neither its relay state nor the assertion are good again.
    let again = scene.post(&scene.idp.answer(&claims), &begun.relay).await;
    assert_eq!(error(&again), "saml_relay_state_not_found");
    let renewed = scene.world.refresh(&tokens["refresh_token"]).await.ok();
    assert_eq!(scene.world.claims(text(&renewed, "/access_token"))["amr"][0]["method"], json!("sso/saml"));
    let refused =
        scene.world.call("PUT", "/user", Some(&tokens["access_token"]), json!({ "email": "x@y.dev" })).await;
    assert_eq!(refused.refusal(), (422, "user_sso_managed"));
}

#[tokio::test]
async fn a_code_is_exchanged_by_whoever_began() {
    let scene = Scene::new().await;
    let challenge = URL_SAFE_NO_PAD.encode(token::sha256(VERIFIER.as_bytes()));
    let pkce = json!({ "code_challenge": challenge, "code_challenge_method": "s256" });
    let begun = scene.begin(pkce).await;
    let mut claims = scene.claims("ann@example.com");
    claims.in_response_to = Some(begun.request.clone());
    claims.session_end = Some(scene.world.time(600));
    let answer = scene.post(&scene.idp.answer(&claims), &begun.relay).await;
    assert_eq!(answer.status, 302, "{}", answer.header("location"));
    let code = read_query(answer.header("location"))["code"].clone();
    let exchange = async |verifier: &str| -> Answer {
        let body = json!({ "auth_code": code, "code_verifier": verifier });
        scene.world.post("/token?grant_type=pkce", body).await
    };
    assert_eq!(exchange("x").await.refusal(), (400, "bad_code_verifier"));
    let session = exchange(VERIFIER).await.ok();
    assert_eq!(scene.world.claims(text(&session, "/access_token"))["amr"][0]["method"], json!("sso/saml"));
    assert_eq!(exchange(VERIFIER).await.refusal(), (404, "flow_state_not_found"));
    // The session ends when the identity provider says.
    scene.world.advance(601);
    let answer = scene.world.refresh(text(&session, "/refresh_token")).await;
    assert_eq!(answer.refusal(), (400, "session_expired"));
}

#[tokio::test]
async fn sessions_end_when_the_identity_provider_says() {
    let scene = Scene::new().await;
    let mut claims = scene.claims("ann@example.com");
    claims.session_end = Some(scene.world.time(600));
    let tokens = session(&scene.post(&scene.idp.answer(&claims), "").await);
    scene.world.advance(590);
    let renewed = scene.world.refresh(&tokens["refresh_token"]).await.ok();
    scene.world.advance(20);
    let answer = scene.world.refresh(text(&renewed, "/refresh_token")).await;
    assert_eq!(answer.refusal(), (400, "session_expired"));
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let scene = Scene::new().await;
    let response = scene.idp.answer(&scene.claims("ann@example.com"));
    session(&scene.post(&response, "").await);
    assert_eq!(error(&scene.post(&response, "").await), "validation_failed");
    // Nor in another response, nor as the answer to a request.
    let again = response.replace("ID=\"r-", "ID=\"other-");
    assert_eq!(error(&scene.post(&again, "http://127.0.0.1:3000/").await), "validation_failed");
    // Of two at the same time one wins.
    let response = scene.idp.answer(&scene.claims("ann@example.com"));
    let (one, two) = tokio::join!(scene.post(&response, ""), scene.post(&response, ""));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [302, 303]);
    assert_eq!(scene.world.sql("select count(*) from auth.sessions").await, "2");
}

#[tokio::test]
async fn forged_answers_let_nobody_in() {
    let scene = Scene::new().await;
    let claims = scene.claims("ann@example.com");
    let good = scene.idp.answer(&claims);
    let stranger = Idp::new(IDP);
    let evil = Claims { id: "evil".to_owned(), name_id: "root@example.com".to_owned(), ..claims.clone() };
    let unsigned = scene.idp.response(&claims, &scene.idp.assertion(&claims));
    let wrapped = scene.idp.response(
        &claims,
        &format!("{}{}", scene.idp.assertion(&evil), scene.idp.signed(&scene.idp.assertion(&claims))),
    );
    for response in [
        good.replace("ann@example.com", "root@example.com"),
        stranger.answer(&claims),
        unsigned,
        wrapped,
        good.replace(
            "<samlp:Status>",
            "<!-- --><samlp:Extensions><a ID=\"evil\"/><b ID=\"evil\"/></samlp:Extensions><samlp:Status>",
        ),
        format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{good}"),
    ] {
        let said = error(&scene.post(&response, "").await);
        assert_eq!(said, "validation_failed");
    }
    assert_eq!(scene.world.sql("select count(*) from auth.users").await, "0");
    // Nothing of it was used up.
    session(&scene.post(&good, "").await);
}

#[tokio::test]
async fn answers_for_others_or_of_another_time_let_nobody_in() {
    let scene = Scene::new().await;
    let cases: [fn(&mut Claims); 5] = [
        |claims| claims.audience = "https://other.example.com".to_owned(),
        |claims| claims.recipient = "https://other.example.com".to_owned(),
        |claims| claims.in_response_to = Some("id-unknown".to_owned()),
        |claims| claims.not_on_or_after = "2020-01-01T00:00:00Z".to_owned(),
        |claims| claims.not_before = "2120-01-01T00:00:00Z".to_owned(),
    ];
    for change in cases {
        let mut claims = scene.claims("ann@example.com");
        change(&mut claims);
        assert_eq!(error(&scene.post(&scene.idp.answer(&claims), "").await), "validation_failed");
    }
    // A request has two minutes, and answers are to it alone.
    let begun = scene.begin(json!({})).await;
    scene.world.advance(121);
    assert_eq!(error(&scene.post("x", &begun.relay).await), "saml_relay_state_expired");
    let (one, two) = (scene.begin(json!({})).await, scene.begin(json!({})).await);
    let mut claims = scene.claims("ann@example.com");
    claims.in_response_to = Some(one.request);
    assert_eq!(error(&scene.post(&scene.idp.answer(&claims), &two.relay).await), "validation_failed");
}

#[tokio::test]
async fn accounts_are_apart_from_those_with_the_same_address() {
    let scene = Scene::new().await;
    let own = scene.world.sign_up("ann@example.com").await;
    let first = session(&scene.arrive("ann@example.com").await);
    let user = scene.world.get("/user", &first["access_token"]).await.ok();
    assert_ne!(user["id"], own["user"]["id"]);
    // A second provider of the same address is a third account; the first finds its own again.
    let other = Idp::new("https://other.example.com");
    add(&scene.world, &other, json!({})).await;
    let claims = scene.claims("ann@example.com");
    let second = session(&scene.post(&other.answer(&claims), "").await);
    let second = scene.world.get("/user", &second["access_token"]).await.ok();
    assert_ne!(second["id"], user["id"]);
    let again = session(&scene.arrive("ann@example.com").await);
    assert_eq!(scene.world.get("/user", &again["access_token"]).await.ok()["id"], user["id"]);
    assert_eq!(scene.world.sql("select count(*) from auth.users").await, "3");
    assert_eq!(
        scene.world.sign_in("ann@example.com", "password1").await.ok()["user"]["id"],
        own["user"]["id"]
    );
}

#[tokio::test]
async fn attributes_become_metadata_and_are_renewed() {
    let scene = Scene::new().await;
    let mapping = json!({ "attribute_mapping": { "keys": {
        "email": { "name": "login" }, "name": { "names": ["cn", "displayName"] },
        "groups": { "name": "groups", "array": true }, "tenant": { "name": "none", "default": "acme" },
    } } });
    let path = format!("/admin/sso/providers/{}", scene.provider);
    scene.world.admin("PUT", &path, mapping).await.ok();
    let arrive = async |name: &str| -> Value {
        let mut claims = scene.claims("u1");
        claims.name_id_format = saml::name_id::PERSISTENT.to_owned();
        claims.attributes = vec![
            ("login".to_owned(), vec!["Ann@Work.example".to_owned()]),
            ("displayName".to_owned(), vec![name.to_owned()]),
            ("groups".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
        ];
        let tokens = session(&scene.post(&scene.idp.answer(&claims), "").await);
        scene.world.get("/user", &tokens["access_token"]).await.ok()
    };
    let user = arrive("Ann").await;
    assert_eq!((&user["email"], &user["identities"][0]["id"]), (&json!("ann@work.example"), &json!("u1")));
    assert_eq!(user["user_metadata"]["name"], json!("Ann"));
    assert_eq!(user["user_metadata"]["custom_claims"], json!({ "groups": ["a", "b"], "tenant": "acme" }));
    let renewed = arrive("Ann B.").await;
    assert_eq!((&renewed["id"], &renewed["user_metadata"]["name"]), (&user["id"], &json!("Ann B.")));
}

#[tokio::test]
async fn identity_providers_begin_sign_ins_too() {
    let scene = Scene::new().await;
    let send =
        async |relay: &str| scene.post(&scene.idp.answer(&scene.claims("ann@example.com")), relay).await;
    let to = async |relay: &str| send(relay).await.header("location").split('#').next().unwrap().to_owned();
    assert_eq!(to("").await, "http://127.0.0.1:3000");
    assert_eq!(to("http://127.0.0.1:3000/app").await, "http://127.0.0.1:3000/app");
    assert_eq!(to("https://evil.example/app").await, "http://127.0.0.1:3000");
    assert_eq!(error(&send("no url").await), "validation_failed");
    assert_eq!(error(&send(&uuid::Uuid::new_v4().to_string()).await), "saml_relay_state_not_found");
    let stranger = Idp::new("https://stranger.example.com");
    let answer = scene.post(&stranger.answer(&scene.claims("ann@example.com")), "").await;
    assert_eq!(error(&answer), "saml_idp_not_found");
}

#[tokio::test]
async fn who_nobody_names_or_who_may_not_comes_not_in() {
    let scene = Scene::new().await;
    let mut claims = scene.claims("x1");
    claims.name_id_format = saml::name_id::TRANSIENT.to_owned();
    assert_eq!(error(&scene.post(&scene.idp.answer(&claims), "").await), "saml_assertion_no_user_id");
    let mut claims = scene.claims("x1");
    claims.name_id_format = saml::name_id::PERSISTENT.to_owned();
    assert_eq!(error(&scene.post(&scene.idp.answer(&claims), "").await), "saml_assertion_no_email");
    session(&scene.arrive("ann@example.com").await);
    scene.world.run_sql("update auth.users set banned_until = 'infinity'").await;
    assert_eq!(error(&scene.arrive("ann@example.com").await), "user_banned");
    let path = format!("/admin/sso/providers/{}", scene.provider);
    scene.world.admin("PUT", &path, json!({ "disabled": true })).await.ok();
    assert_eq!(error(&scene.arrive("bob@example.com").await), "sso_provider_disabled");
    let closed = Scene::with(|settings| settings.disable_signup = true).await;
    assert_eq!(error(&closed.arrive("ann@example.com").await), "signup_disabled");
}

#[tokio::test]
async fn a_sign_in_names_one_provider() {
    let scene = Scene::new().await;
    let refusal = async |body: Value| -> (u16, String) {
        let answer = scene.world.post("/sso", body).await;
        let (status, code) = answer.refusal();
        (status, code.to_owned())
    };
    let id = uuid::Uuid::new_v4();
    assert_eq!(refusal(json!({})).await, (400, "validation_failed".to_owned()));
    assert_eq!(
        refusal(json!({ "provider_id": id, "domain": "x" })).await,
        (400, "validation_failed".to_owned())
    );
    assert_eq!(refusal(json!({ "provider_id": id })).await, (404, "sso_provider_not_found".to_owned()));
    assert_eq!(refusal(json!({ "domain": "other.dev" })).await, (404, "sso_provider_not_found".to_owned()));
    assert_eq!(refusal(json!({ "provider_id": "x" })).await, (400, "bad_json".to_owned()));
    let half = json!({ "provider_id": scene.provider, "code_challenge": "x".repeat(43) });
    assert_eq!(refusal(half).await, (400, "validation_failed".to_owned()));
    let answer = scene.world.post("/sso", json!({ "provider_id": scene.provider })).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").starts_with("https://idp.example.com/sso?SAMLRequest="));
}

#[tokio::test]
async fn without_a_switch_there_is_no_single_sign_on() {
    let world = World::new().await;
    for (method, path) in [("POST", "/sso"), ("GET", "/sso/saml/metadata"), ("POST", "/sso/saml/acs")] {
        assert_eq!(
            world.call(method, path, None, json!({})).await.refusal(),
            (404, "saml_provider_disabled")
        );
    }
    assert_eq!(world.call("GET", "/settings", None, Value::Null).await.ok()["saml_enabled"], json!(false));
    let scene = Scene::new().await;
    assert_eq!(
        scene.world.call("GET", "/settings", None, Value::Null).await.ok()["saml_enabled"],
        json!(true)
    );
    let metadata = scene.world.call("GET", "/sso/saml/metadata?download=true", None, Value::Null).await;
    assert_eq!((metadata.status, metadata.header("content-type")), (200, "application/xml"));
    assert_eq!(metadata.header("content-disposition"), "attachment; filename=\"metadata.xml\"");
    assert!(metadata.text.contains("entityID=\"http://127.0.0.1:54321/auth/v1/sso/saml/metadata\""));
    let broken = World::with(|settings| settings.saml.enabled = true).await;
    assert_eq!(broken.call("GET", "/sso/saml/metadata", None, Value::Null).await.status, 500);
}

#[tokio::test]
async fn answers_are_limited_by_client() {
    let scene = Scene::with(|settings| settings.rate_limits.header = Some("x-client".to_owned())).await;
    let call = async || -> u16 {
        let request = Request::post("/sso/saml/acs").header("x-client", "one").body(Body::empty());
        scene.world.send(request.unwrap()).await.status
    };
    for _ in 0..30 {
        assert_eq!(call().await, 303);
    }
    assert_eq!(call().await, 429);
}

#[tokio::test]
async fn projects_of_a_shard_have_providers_of_their_own() {
    let database = world::shard().await;
    let app = |id: u32| {
        let mut settings = world::settings(world::SECRET);
        enable(&mut settings);
        settings.external_url = format!("http://127.0.0.1:54321/p/{id}/auth/v1");
        settings.extra_settings = vec![("rowhouse.app_id".to_owned(), id.to_string())];
        settings
    };
    let idp = Idp::new(IDP);
    let world = World::on(database, app(1));
    add(&world, &idp, json!({ "domains": ["example.com"] })).await;
    let first = Scene { world, idp, provider: String::new() };
    let settings = app(2);
    let second = auth::Auth::new(
        settings,
        world::pool(&first.world.database),
        std::sync::Arc::new(model::SystemClock),
    );
    let key = token::demo_key(world::SECRET, "service_role");
    let request = Request::get("/admin/sso/providers").header("authorization", format!("Bearer {key}"));
    let response = second.handle(request.body(Body::empty()).unwrap()).await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, &b"{\"items\":[]}"[..]);
    let mut claims = first.claims("ann@example.com");
    for url in [&mut claims.recipient, &mut claims.audience] {
        *url = url.replace("54321/", "54321/p/1/");
    }
    session(&first.post(&first.idp.answer(&claims), "").await);
}
