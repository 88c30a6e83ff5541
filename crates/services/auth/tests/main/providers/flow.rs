//! From here to a provider and back.

use super::server::{CLIENT, SECRET, Server, Twist, parameters};
use crate::world::{Answer, World, text};
use auth::{ProviderSettings, Settings};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};
use std::time::Duration;

/// A provider of the list at this server.
pub fn at(server: &Server) -> ProviderSettings {
    ProviderSettings {
        enabled: true,
        client_ids: vec![CLIENT.to_owned()],
        secret: SECRET.into(),
        url: server.url.clone(),
        ..ProviderSettings::default()
    }
}

pub fn with(server: &Server, names: &[&str]) -> impl FnOnce(&mut Settings) {
    let (settings, names): (ProviderSettings, Vec<String>) =
        (at(server), names.iter().map(|name| (*name).to_owned()).collect());
    move |to: &mut Settings| {
        to.mailer_autoconfirm = false;
        to.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        to.external.custom.local = true;
        for name in names {
            to.external.providers.insert(name, settings.clone());
        }
    }
}

/// The error that a redirect tells, in query and fragment alike.
#[track_caller]
pub fn error(answer: &Answer) -> (String, String) {
    let location = answer.header("location");
    assert_eq!(answer.status, 302, "{}", answer.text);
    let (query, fragment) = (parameters(location, '?'), parameters(location, '#'));
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    for name in ["error", "error_code", "error_description"] {
        assert_eq!(query.get(name), fragment.get(name), "{location}");
    }
    assert!(fragment.contains_key("sb") && !fragment.contains_key("access_token"), "{location}");
    (of("error"), of("error_code"))
}

fn refused(error: &str, code: &str) -> (String, String) {
    (error.to_owned(), code.to_owned())
}

#[tokio::test]
async fn people_come_back_with_a_session() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let away = world
        .call("GET", "/authorize?provider=google&scopes=calendar,tasks&prompt=consent", None, Value::Null)
        .await;
    assert_eq!(away.status, 302);
    let asked = parameters(away.header("location"), '?');
    assert_eq!(asked["client_id"], CLIENT);
    assert_eq!(asked["redirect_uri"], "http://127.0.0.1:54321/auth/v1/callback");
    assert_eq!(asked["scope"], "email profile calendar tasks");
    assert_eq!((asked["response_type"].as_str(), asked["prompt"].as_str()), ("code", "consent"));
    assert!(!asked.contains_key("provider") && !asked.contains_key("scopes"));
    let back = server.agree(away.header("location")).await;
    let home = world.call("GET", &back, None, Value::Null).await;
    assert_eq!(home.status, 302, "{}", home.text);
    let location = home.header("location");
    assert!(location.starts_with("http://127.0.0.1:3000#"), "{location}");
    let got = parameters(location, '#');
    assert_eq!(
        (got["provider_token"].as_str(), got["provider_refresh_token"].as_str()),
        ("their-access", "their-refresh")
    );
    assert_eq!((got["token_type"].as_str(), got["sb"].as_str()), ("bearer", ""));
    assert!(!got.contains_key("type") && got.contains_key("expires_at"));
    assert!(!home.header("sb-auth-session-id").is_empty());
    let user = world.get("/user", &got["access_token"]).await.ok();
    assert_eq!(user["email"], "ann@example.com");
    assert!(user.get("email_confirmed_at").is_some());
    assert_eq!(user["app_metadata"], json!({ "provider": "google", "providers": ["google"] }));
    assert_eq!(user["user_metadata"]["full_name"], "Ann Lee");
    let identity = &user["identities"][0];
    assert_eq!((text(identity, "/provider"), text(identity, "/id")), ("google", "p-1"));
    assert_eq!(identity["identity_data"]["email_verified"], true);
    world.refresh(&got["refresh_token"]).await.ok();
    // The state is used up.
    let again = world.call("GET", &back, None, Value::Null).await;
    assert_eq!((again.status, again.header("location").starts_with("http://127.0.0.1:3000?")), (303, true));
    assert_eq!(parameters(again.header("location"), '?')["error_code"], "bad_oauth_state");
    // The second time it is the same account.
    server.walk(&world, "/authorize?provider=google").await;
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
    let actions = world.sql("select string_agg(payload->>'action', ' ' order by created_at, payload->>'action' desc) from auth.audit_log_entries where payload->>'action' in ('user_signedup', 'login')").await;
    assert_eq!(actions, "user_signedup login");
}

#[tokio::test]
async fn the_code_of_the_pkce_flow_is_for_whoever_began_it() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let verifier = "v".repeat(43);
    let challenge = B64.encode(token::sha256(verifier.as_bytes()));
    let start = format!(
        "/authorize?provider=google&redirect_to=http://127.0.0.1:3000/in%3Fa%3D1&code_challenge={challenge}&code_challenge_method=s256"
    );
    let away = world.call("GET", &start, None, Value::Null).await;
    let asked = parameters(away.header("location"), '?');
    assert!(!asked.contains_key("code_challenge"), "the challenge is for us");
    let back = server.agree(away.header("location")).await;
    let home = world.call("GET", &back, None, Value::Null).await;
    let location = home.header("location").to_owned();
    assert!(location.starts_with("http://127.0.0.1:3000/in?a=1&code="), "{location}");
    let code = parameters(&location, '?')["code"].clone();
    let twice = world.call("GET", &back, None, Value::Null).await;
    assert_eq!(parameters(twice.header("location"), '?')["error_code"], "flow_state_already_used");
    let exchange = async |verifier: &str| {
        let body = json!({ "auth_code": code, "code_verifier": verifier });
        world.post("/token?grant_type=pkce", body).await
    };
    assert_eq!(exchange(&"w".repeat(43)).await.refusal(), (400, "bad_code_verifier"));
    let session = exchange(&verifier).await.ok();
    assert_eq!(
        (text(&session, "/provider_token"), text(&session, "/provider_refresh_token")),
        ("their-access", "their-refresh")
    );
    assert_eq!(exchange(&verifier).await.refusal(), (404, "flow_state_not_found"));
}

#[tokio::test]
async fn what_we_decide_cannot_be_set_from_outside() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google", "x"])).await;
    let start = "/authorize?provider=google&Redirect_URI=https://evil.dev&STATE=x&client_id=evil&Response_Type=token&request_uri=https://evil.dev&code_verifier=a&nonce=n";
    let asked = parameters(world.call("GET", start, None, Value::Null).await.header("location"), '?');
    let names: std::collections::BTreeSet<&str> = asked.keys().map(String::as_str).collect();
    assert_eq!(
        Vec::from_iter(names),
        ["client_id", "nonce", "redirect_uri", "response_type", "scope", "state"]
    );
    assert_eq!((asked["client_id"].as_str(), asked["nonce"].as_str()), (CLIENT, "n"));
    assert_eq!(asked["redirect_uri"], "http://127.0.0.1:54321/auth/v1/callback");
    assert_eq!(asked["response_type"], "code");
    for (start, code) in [
        ("/authorize", "validation_failed"),
        ("/authorize?provider=github", "validation_failed"),
        ("/authorize?provider=nobody", "validation_failed"),
        ("/authorize?provider=custom:nobody", "validation_failed"),
        ("/authorize?provider=google&code_challenge=short&code_challenge_method=s256", "validation_failed"),
        ("/authorize?provider=google&code_challenge_method=s256", "validation_failed"),
    ] {
        assert_eq!(world.call("GET", start, None, Value::Null).await.refusal(), (400, code), "{start}");
    }
    let invited = world.call("GET", "/authorize?provider=google&invite_token=x", None, Value::Null).await;
    assert_eq!(invited.refusal(), (404, "user_not_found"));
}

#[tokio::test]
async fn a_state_is_one_of_ours_and_fresh() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let state = async |query: &str| {
        let answer = world.call("GET", &format!("/callback?{query}"), None, Value::Null).await;
        assert_eq!(
            (answer.status, answer.header("location").split('?').next()),
            (303, Some("http://127.0.0.1:3000"))
        );
        parameters(answer.header("location"), '?')["error_code"].clone()
    };
    assert_eq!(state("code=x").await, "bad_oauth_callback");
    assert_eq!(state("code=x&state=nonsense").await, "bad_oauth_state");
    assert_eq!(state("code=x&state=11111111-1111-4111-8111-111111111111").await, "bad_oauth_state");
    // The flow of a link by mail is no sign-in at a provider.
    let challenge = B64.encode(token::sha256(b"x"));
    let body =
        json!({ "email": "bob@example.com", "code_challenge": challenge, "code_challenge_method": "s256" });
    world.post("/otp", body).await.ok();
    let mailed = world.sql("select id::text from auth.flow_state").await;
    assert_eq!(state(&format!("code=x&state={mailed}")).await, "bad_oauth_state");
    let back = server.consent(&world, "/authorize?provider=google").await;
    world.advance(301);
    assert_eq!(state(back.split_once('?').unwrap().1).await, "bad_oauth_state");
    let missing = server.consent(&world, "/authorize?provider=google").await;
    let state = parameters(&missing, '?')["state"].clone();
    let answer = world.call("GET", &format!("/callback?state={state}"), None, Value::Null).await;
    assert_eq!(error(&answer), refused("invalid_request", "bad_oauth_callback"));
    let denied = format!("/callback?state={state}&error=access_denied&error_description=No%20thanks");
    let answer = world.call("GET", &denied, None, Value::Null).await;
    assert_eq!(error(&answer), refused("access_denied", ""));
    assert_eq!(parameters(answer.header("location"), '?')["error_description"], "No thanks");
}

#[tokio::test]
async fn several_who_come_back_with_one_state_are_one() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let challenge = B64.encode(token::sha256("v".repeat(43).as_bytes()));
    for query in [String::new(), format!("&code_challenge={challenge}&code_challenge_method=s256")] {
        let away = world.call("GET", &format!("/authorize?provider=google{query}"), None, Value::Null).await;
        let away = away.header("location");
        // The provider gives four codes for one state.
        let backs = [
            server.agree(away).await,
            server.agree(away).await,
            server.agree(away).await,
            server.agree(away).await,
        ];
        let answers = tokio::join!(
            world.call("GET", &backs[0], None, Value::Null),
            world.call("GET", &backs[1], None, Value::Null),
            world.call("GET", &backs[2], None, Value::Null),
            world.call("GET", &backs[3], None, Value::Null),
        );
        let answers = [answers.0, answers.1, answers.2, answers.3];
        let won = answers.iter().filter(|answer| {
            let location = answer.header("location");
            parameters(location, '#').contains_key("access_token")
                || parameters(location, '?').contains_key("code")
        });
        assert_eq!(won.count(), 1);
    }
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
}

#[tokio::test]
async fn first_sign_ins_at_once_make_one_account() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let mut backs = Vec::new();
    for _ in 0..4 {
        backs.push(server.consent(&world, "/authorize?provider=google").await);
    }
    let answers = tokio::join!(
        world.call("GET", &backs[0], None, Value::Null),
        world.call("GET", &backs[1], None, Value::Null),
        world.call("GET", &backs[2], None, Value::Null),
        world.call("GET", &backs[3], None, Value::Null),
    );
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert!(
            parameters(answer.header("location"), '#').contains_key("access_token"),
            "{}",
            answer.header("location")
        );
    }
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
    assert_eq!(world.sql("select count(*) from auth.identities").await, "1");
}

#[tokio::test]
async fn providers_that_misbehave_are_an_error_in_the_redirect() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    server.walk(&world, "/authorize?provider=google").await;
    for twist in [
        Twist::AlgNone,
        Twist::PublicKeyAsSecret,
        Twist::UnknownKey,
        Twist::OtherKey,
        Twist::Tampered,
        Twist::Huge,
        Twist::Refusing,
        Twist::Garbage,
    ] {
        server.twist(twist);
        let answer = server
            .walk(&world, "/authorize?provider=google&redirect_to=http://127.0.0.1:3000/x%3Fa%3Db")
            .await;
        assert_eq!(error(&answer), refused("server_error", "unexpected_failure"), "{twist:?}");
        let query = parameters(answer.header("location"), '?');
        assert_eq!(query["a"], "b");
        assert!(!answer.header("location").contains("s3cret"));
    }
    server.twist(Twist::None);
    for claims in [
        json!({ "aud": "somebody else" }),
        json!({ "iss": "https://accounts.google.com" }),
        json!({ "exp": 1_700_000_000 }),
        json!({ "sub": "" }),
        json!({ "email": "" }),
    ] {
        let mut person = json!({ "sub": "p-1", "email": "ann@example.com", "email_verified": true });
        person.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        server.person(person);
        let answer = server.walk(&world, "/authorize?provider=google").await;
        assert_eq!(error(&answer), refused("server_error", "unexpected_failure"), "{claims}");
    }
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "1");
}

#[tokio::test]
async fn a_provider_that_never_answers_is_not_waited_for() {
    let server = Server::start().await;
    let world = World::with(|settings| {
        with(&server, &["github"])(settings);
        // Two seconds of it are the database's.
        settings.request_timeout = Duration::from_millis(2200);
    })
    .await;
    server.twist(Twist::Silent);
    let state = parameters(
        world.call("GET", "/authorize?provider=github", None, Value::Null).await.header("location"),
        '?',
    )["state"]
        .clone();
    let answer = world.call("GET", &format!("/callback?code=c&state={state}"), None, Value::Null).await;
    assert_eq!(error(&answer), refused("server_error", "unexpected_failure"));
}

#[tokio::test]
async fn a_refused_target_is_replaced_by_the_site() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    for target in ["https://evil.dev/", "http://127.0.0.1.evil.dev/", "//evil.dev", "javascript:alert(1)"] {
        let start = format!(
            "/authorize?provider=google&redirect_to={}",
            form_urlencoded::byte_serialize(target.as_bytes()).collect::<String>()
        );
        let answer = server.walk(&world, &start).await;
        assert!(answer.header("location").starts_with("http://127.0.0.1:3000#"), "{target}");
    }
    let world = World::with(|settings| {
        with(&server, &["google"])(settings);
        settings.external.redirect_url = "https://fixed.dev/in?x=1".to_owned();
    })
    .await;
    let answer = server.walk(&world, "/authorize?provider=google&redirect_to=http://127.0.0.1:3000/y").await;
    assert!(
        answer.header("location").starts_with("https://fixed.dev/in?x=1#"),
        "{}",
        answer.header("location")
    );
}
