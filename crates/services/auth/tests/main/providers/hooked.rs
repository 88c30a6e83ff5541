//! Hooks of servers that have a say when somebody comes by way of a provider.

use super::flow::with;
use super::server::Server;
use crate::http_hooks::hook;
use crate::peer::Peer;
use crate::world::{Answer, World, text};
use auth::Settings;
use serde_json::{Value, json};

async fn world(server: &Server, change: impl FnOnce(&mut Settings)) -> World {
    World::narrow(|settings| {
        with(server, &["google"])(settings);
        change(settings);
    })
    .await
}

async fn arrive(world: &World, token: &str) -> Answer {
    world.post("/token?grant_type=id_token", json!({ "provider": "google", "id_token": token })).await
}

const USERS: &str = "select count(*)::text from auth.users";
const NO: &str = r#"{ "error": { "http_code": 403, "message": "not from there" } }"#;

#[tokio::test]
async fn a_server_that_is_asked_about_newcomers_keeps_no_connection() {
    let (server, peer) = (Server::start().await, Peer::new().await);
    let world = world(&server, |settings| settings.hooks.before_user_created = Some(hook(&peer))).await;
    server.with_clock(world.unix());
    let token = server.token(json!({}));
    let refused = meanwhile(&world, &peer, &token, (200, NO), async {}).await;
    assert_eq!((refused.status, text(&refused.body, "/msg")), (403, "not from there"));
    assert_eq!(world.sql(USERS).await, "0");
    let session = meanwhile(&world, &peer, &token, (204, ""), async {}).await.ok();
    assert_eq!(text(&peer.last().json(), "/user/id"), text(&session, "/user/id"));
    // Who is no newcomer is not asked about.
    let asked = peer.asked().len();
    arrive(&world, &token).await.ok();
    assert_eq!((peer.asked().len(), world.sql(USERS).await.as_str()), (asked, "1"));
}

#[tokio::test]
async fn what_was_decided_is_decided_anew_where_something_has_changed() {
    let (server, peer) = (Server::start().await, Peer::new().await);
    let world = world(&server, |settings| settings.hooks.before_user_created = Some(hook(&peer))).await;
    server.with_clock(world.unix());
    let token = server.token(json!({}));
    // Meanwhile the address has got an account.
    let body = json!({ "email": "ann@example.com", "password": "password1", "email_confirm": true });
    let made = async { drop(world.admin("POST", "/admin/users", body).await.ok()) };
    let session = meanwhile(&world, &peer, &token, (204, ""), made).await.ok();
    assert_eq!(world.sql(USERS).await, "1");
    assert_eq!(session["user"]["app_metadata"]["providers"], json!(["email", "google"]));
}

#[tokio::test]
async fn a_mail_that_is_not_taken_undoes_an_arrival() {
    let (server, peer) = (Server::start().await, Peer::new().await);
    let world = world(&server, |settings| settings.hooks.send_email = Some(hook(&peer))).await;
    server.with_clock(world.unix());
    let token = server.token(json!({ "email_verified": false }));
    let refused = meanwhile(&world, &peer, &token, (200, NO), async {}).await;
    assert_eq!((refused.status, text(&refused.body, "/msg")), (403, "not from there"));
    assert_eq!(world.sql(USERS).await, "0");
    // Meanwhile the address has got an account: the code that was sent is not written.
    let body = json!({ "email": "ann@example.com", "password": "password1" });
    let made = async { drop(world.admin("POST", "/admin/users", body).await.ok()) };
    let changed = meanwhile(&world, &peer, &token, (204, ""), made).await;
    assert_eq!(changed.refusal(), (409, "conflict"));
    assert_eq!(world.sql("select confirmation_token from auth.users").await, "");
}

/// What somebody gets who arrives while the server says nothing until others have been served.
async fn meanwhile(
    world: &World,
    peer: &Peer,
    token: &str,
    then: (u16, &str),
    others: impl Future<Output = ()>,
) -> Answer {
    peer.forget();
    let asks = async {
        peer.until_asked(1).await;
        let served = world.call("GET", "/user", None, Value::Null).await;
        assert_eq!(served.status, 401);
        assert_eq!(world.sign_in("x@example.com", "x").await.refusal(), (400, "invalid_credentials"));
        others.await;
        peer.says(then.0, then.1);
    };
    tokio::join!(arrive(world, token), asks).0
}
