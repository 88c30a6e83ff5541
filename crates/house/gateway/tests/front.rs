//! Keys, projects, routes, CORS and limits as a client meets them.

use crate::house::{Answer, FIRST, House, Plan, SECOND, SECRET_KEY, legacy};
use gateway::{Limits, ProjectLimits};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn apikey(key: &str) -> String {
    format!("apikey: {key}")
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_reached() {
    let house = House::open(Plan::default()).await;
    let missing = house.send("GET", "/rest/v1/todos", &[]).await;
    assert_eq!(missing.status, 401);
    assert_eq!(missing.json()["message"], "No API key found in request");
    assert_eq!(missing.json()["hint"], "No `apikey` request header or url param was found.");
    assert_eq!(missing.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(missing.header("access-control-allow-origin"), Some("*"));
    // alg none, role service_role
    let none = "eyJhbGciOiJub25lIn0.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.";
    for wrong in
        ["x", "sb_secret_x", none, &legacy(1, "anon").replace('.', ""), &format!("{}x", legacy(0, "anon"))]
    {
        let refused = house.send("GET", "/rest/v1/todos", &[&apikey(wrong)]).await;
        assert_eq!(
            (refused.status, &refused.json()["message"]),
            (401, &Value::from("Invalid API key")),
            "{wrong}"
        );
    }
    // A token in Authorization is no key.
    let bearer = format!("authorization: Bearer {}", legacy(0, "service_role"));
    assert_eq!(house.send("GET", "/rest/v1/todos", &[&bearer]).await.status, 401);
    house.close().await;
}

#[tokio::test]
async fn a_project_is_found_in_four_ways_and_only_with_its_own_key() {
    let house = House::open(Plan { has_default: false, ..Plan::default() }).await;
    let reached = |answer: Answer| answer.header("sb-project-ref").map(str::to_owned).ok_or(answer.status);
    let (one, two) = (apikey(&legacy(0, "anon")), apikey(&legacy(1, "anon")));
    let send = async |path: &str, host: &str, key: &str| {
        reached(house.send("GET", path, &[&format!("host: {host}"), key]).await)
    };
    let (first, second) = (Ok(FIRST.to_owned()), Ok(SECOND.to_owned()));
    let prefixed = format!("/p/{SECOND}/rest/v1/t");
    let host = format!("{SECOND}.rowhouse.test:1");
    assert_eq!(send("/rest/v1/t", "api.second.test", &two).await, second);
    assert_eq!(send("/rest/v1/t", &host, &two).await, second);
    assert_eq!(send(&prefixed, "localhost", &two).await, second);
    assert_eq!(send("/rest/v1/t", "localhost", &two).await, second);
    assert_eq!(send("/rest/v1/t", "localhost", &one).await, first);
    assert_eq!(send("/rest/v1/t", "localhost", &apikey(SECRET_KEY)).await, first);
    assert_eq!(send("/rest/v1/t", "elsewhere.test", &one).await, first);
    // The name decides, the key must fit.
    assert_eq!(send("/rest/v1/t", "api.second.test", &one).await, Err(401));
    assert_eq!(send("/rest/v1/t", &host, &one).await, Err(401));
    assert_eq!(send(&prefixed, "localhost", &one).await, Err(401));
    assert_eq!(send(&prefixed, "localhost", &apikey(SECRET_KEY)).await, Err(401));
    // No such project, and keys that name none.
    assert_eq!(send("/p/cccccccccccccccccccc/rest/v1/t", "localhost", &one).await, Err(404));
    assert_eq!(send("/rest/v1/t", "cccccccccccccccccccc.rowhouse.test", &one).await, Err(404));
    assert_eq!(send("/rest/v1/t", "localhost", "apikey: sb_secret_x").await, Err(401));
    house.close().await;
}

#[tokio::test]
async fn services_see_their_path_untouched() {
    let house = House::open(Plan::default()).await;
    let key = apikey(&legacy(0, "anon"));
    let seen = async |method: &str, path: &str| house.send(method, path, &[&key]).await.json();
    let rest = seen("GET", "/rest/v1/a%2Fb%20%C3%A4?x=eq.%26a%20b+c&y").await;
    assert_eq!(
        (&rest["service"], &rest["uri"]),
        (&"rest".into(), &"/a%2Fb%20%C3%A4?x=eq.%26a%20b+c&y".into())
    );
    assert_eq!(rest["caller"], "anon");
    assert_eq!(rest["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen("GET", "/rest/v1").await["uri"], "/");
    let auth = seen("POST", "/auth/v1/token?grant_type=password").await;
    assert_eq!(
        (&auth["service"], &auth["uri"], &auth["caller"]),
        (&"auth".into(), &"/token?grant_type=password".into(), &Value::Null)
    );
    let graphql = seen("POST", "/graphql/v1").await;
    assert_eq!(
        (&graphql["uri"], &graphql["content-profile"]),
        (&"/rpc/graphql".into(), &"graphql_public".into())
    );
    let by_query =
        house.send("GET", &format!("/rest/v1/t?a=1&apikey={}&b", legacy(0, "anon")), &[]).await.json();
    assert_eq!(by_query["uri"], "/t?a=1&b");
    assert_eq!(house.send("GET", "/nowhere", &[&key]).await.status, 404);
    assert_eq!(house.send("POST", "/rowhouse/v1/entities", &[&key]).await.status, 403);
    let entities = house.send("POST", "/rowhouse/v1/entities", &[&apikey(SECRET_KEY)]).await.json();
    assert_eq!((&entities["service"], &entities["caller"]), (&"platform".into(), &"service_role".into()));
    house.close().await;
}

#[tokio::test]
async fn a_clients_forwarded_address_is_not_believed() {
    let house = House::open(Plan::default()).await;
    let headers =
        [&*apikey(SECRET_KEY), "x-forwarded-for: 10.1.1.1", "authorization: Bearer sb_secret_other"];
    let seen = house.send("GET", "/rest/v1/t", &headers).await.json();
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    assert_eq!((&seen["caller"], &seen["authorization"]), (&"service_role".into(), &Value::Null));
    house.close().await;
}

#[tokio::test]
async fn what_a_proxy_says_is_believed_where_there_is_one() {
    let headers = [
        &*apikey(SECRET_KEY),
        "forwarded: host=f.test",
        "x-forwarded-host: h.test",
        "x-forwarded-port: 444",
        "x-forwarded-prefix: /p",
        "x-forwarded-proto: https",
    ];
    for trust_forwarded in [false, true] {
        let house = House::open(Plan { trust_forwarded, ..Plan::default() }).await;
        for path in ["/storage/v1/object/b/k", "/rest/v1/t"] {
            let seen = house.send("GET", path, &headers).await.json();
            let wanted = match trust_forwarded {
                true => serde_json::json!(["host=f.test", "h.test", "444", "/p", "https"]),
                false => serde_json::json!([null, null, null, null, null]),
            };
            assert_eq!(seen["forwarded"], wanted);
        }
        house.close().await;
    }
}

#[tokio::test]
async fn links_of_auth_need_no_key() {
    let house = House::open(Plan::default()).await;
    for path in ["/auth/v1/verify?token=x", "/auth/v1/callback", "/auth/v1/.well-known/jwks.json"] {
        assert_eq!(house.send("GET", path, &[]).await.json()["service"], "auth", "{path}");
    }
    assert_eq!(house.send("GET", "/auth/v1/settings", &[]).await.status, 401);
    assert_eq!(house.send("GET", "/health", &[]).await.json()["status"], "ok");
    house.close().await;
}

#[tokio::test]
async fn auth_of_a_local_stack_needs_no_key_but_takes_no_wrong_one() {
    let house = House::open(Plan { keyless_auth: true, ..Plan::default() }).await;
    for (path, service) in [("/auth/v1/signup", "auth"), ("/auth/v1/admin/users", "auth")] {
        let seen = house.send("POST", path, &[]).await.json();
        assert_eq!((&seen["service"], &seen["caller"]), (&service.into(), &Value::Null), "{path}");
    }
    let bearer = format!("authorization: Bearer {}", legacy(0, "anon"));
    let seen = house.send("GET", "/auth/v1/user", &[&bearer]).await.json();
    assert_eq!((&seen["service"], &seen["caller"]), (&"auth".into(), &Value::Null));
    for wrong in ["x", "sb_secret_x", &legacy(1, "anon").replace('.', "")] {
        let refused = house.send("POST", "/auth/v1/signup", &[&apikey(wrong)]).await;
        assert_eq!((refused.status, &refused.json()["message"]), (401, &Value::from("Invalid API key")));
    }
    for other in ["/rest/v1/t", "/graphql/v1", "/rowhouse/v1/entities"] {
        assert_eq!(house.send("GET", other, &[]).await.status, 401, "{other}");
    }
    house.close().await;
}

#[tokio::test]
async fn preflights_are_answered_without_a_key_and_answers_are_open() {
    let house = House::open(Plan::default()).await;
    let asked = [
        "origin: https://app.test",
        "access-control-request-method: PATCH",
        "access-control-request-headers: apikey,x-custom",
    ];
    let preflight = house.send("OPTIONS", "/rest/v1/todos", &asked).await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("apikey,x-custom"));
    assert!(
        preflight.header("access-control-allow-methods").is_some_and(|methods| methods.contains("patch"))
    );
    let key = apikey(&legacy(0, "anon"));
    let got = house.send("GET", "/rest/v1/t", &[&key, "origin: https://app.test"]).await;
    assert_eq!(got.header("access-control-allow-origin"), Some("*"));
    let own = house.send("GET", "/rest/v1/own-cors", &[&key]).await;
    assert_eq!(own.header("access-control-allow-origin"), Some("https://one"));
    assert_eq!(house.send("OPTIONS", "/rest/v1/t", &[&key]).await.json()["method"], "OPTIONS");
    house.close().await;
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let house = House::open(Plan::default()).await;
    let key = apikey(&legacy(0, "anon"));
    let own = house.send("GET", "/rest/v1/t", &[&key, "x-request-id: mine-1"]).await;
    assert_eq!((own.header("x-request-id"), own.header("sb-request-id")), (Some("mine-1"), Some("mine-1")));
    assert_eq!(own.json()["x-request-id"], "mine-1");
    let made = house.send("GET", "/rest/v1/t", &[]).await;
    assert_eq!(made.header("x-request-id").map(str::len), Some(36));
    house.close().await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_announced_or_not() {
    let limits = Limits { body_bytes_max: 1024 * 1024, ..Limits::default() };
    let house = House::open(Plan { limits, ..Plan::default() }).await;
    let key = apikey(&legacy(0, "anon"));
    let fits = house.send_body("POST", "/rest/v1/t", &[&key], &"x".repeat(1024 * 1024)).await;
    assert_eq!(fits.json()["length"], 1024 * 1024);
    let ten = "x".repeat(10 * 1024 * 1024);
    let announced = house.send_body("POST", "/rest/v1/t", &[&key], &ten).await;
    assert_eq!((announced.status, &announced.json()["code"]), (413, &"request_entity_too_large".into()));
    let chunk = format!("{:x}\r\n{}\r\n", 512 * 1024, "x".repeat(512 * 1024));
    let head = format!(
        "POST /rest/v1/t HTTP/1.1\r\nhost: h\r\n{key}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    let chunked = house.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(3)).as_bytes()).await;
    assert_eq!(Answer::parse(&chunked).status, 413);
    house.close().await;
}

#[tokio::test]
async fn one_project_at_its_limit_does_not_hold_up_another() {
    let project = ProjectLimits {
        concurrent_max: 1,
        queue_max: 0,
        queue_timeout: Duration::from_secs(20),
        ..ProjectLimits::default()
    };
    let house = std::sync::Arc::new(House::open(Plan { project, ..Plan::default() }).await);
    let (one, two) = (apikey(&legacy(0, "anon")), apikey(&legacy(1, "anon")));
    let busy = tokio::spawn({
        let (house, one) = (house.clone(), one.clone());
        async move { house.send("GET", "/rest/v1/wait", &[&one]).await }
    });
    house.entered.notified().await;
    let refused = house.send("GET", "/rest/v1/t", &[&one]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(house.send("GET", "/rest/v1/t", &[&two]).await.status, 200);
    house.release.notify_one();
    assert_eq!(busy.await.unwrap().status, 200);
    assert_eq!(house.send("GET", "/rest/v1/t", &[&one]).await.status, 200);
    std::sync::Arc::into_inner(house).unwrap().close().await;
}

#[tokio::test]
async fn slow_services_time_out_and_broken_ones_answer_500() {
    let limits = Limits { request_timeout: Duration::from_millis(50), ..Limits::default() };
    let house = House::open(Plan { limits, ..Plan::default() }).await;
    let key = apikey(&legacy(0, "anon"));
    let slow = house.send("GET", "/rest/v1/wait", &[&key]).await;
    assert_eq!((slow.status, &slow.json()["code"]), (504, &"request_timeout".into()));
    let broken = house.send("GET", "/rest/v1/panic", &[&key]).await;
    assert_eq!((broken.status, &broken.json()["code"]), (500, &"unexpected_failure".into()));
    assert!(!broken.body.contains("as asked"));
    house.close().await;
}

/// Log lines of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_access_log_tells_what_happened_and_no_names() {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || lines.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let house = House::open(Plan::default()).await;
    let key = legacy(0, "anon");
    let token = format!("authorization: Bearer {SECRET_KEY}");
    let headers = [&*apikey(&key), &token, "x-request-id: the-request"];
    let path = "/rest/v1/secret_table?email=eq.someone@example.com";
    assert_eq!(house.send_body("POST", path, &headers, "a secret body").await.status, 200);
    house.close().await;
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains(r#""target":"access""#)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let fields = &line["fields"];
    assert_eq!(
        (&fields["status"], &fields["route"], &fields["service"]),
        (&200.into(), &"table".into(), &"rest".into())
    );
    assert_eq!((&fields["request_id"], &fields["project"]), (&"the-request".into(), &FIRST.into()));
    assert!(fields["bytes"].as_u64().is_some_and(|bytes| bytes > 0) && fields["duration_ms"].is_number());
    for secret in ["secret_table", "example.com", &key, SECRET_KEY, "secret body"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
