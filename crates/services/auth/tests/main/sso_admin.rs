//! Identity providers, kept by administrators.

use crate::sso::idp::Idp;
use crate::sso::{self, IDP, Scene, add};
use crate::world::{Answer, World, text};
use outbound::{Client, Reach};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn world() -> World {
    World::with(sso::enable).await
}

async fn create(world: &World, body: Value) -> Answer {
    world.admin("POST", "/admin/sso/providers", body).await
}

#[tokio::test]
async fn providers_are_made_shown_changed_and_deleted() {
    let world = world().await;
    let idp = Idp::new(IDP);
    let made = add(
        &world,
        &idp,
        json!({
            "domains": ["example.com", "example.org"], "resource_id": "team/1",
            "attribute_mapping": { "keys": { "a": { "name": "b" } } },
            "name_id_format": saml::name_id::EMAIL,
        }),
    )
    .await;
    let id = text(&made, "/id").to_owned();
    assert_eq!(made["resource_id"], json!("team/1"));
    assert_eq!(made["disabled"], Value::Null);
    assert_eq!(
        made["saml"],
        json!({
            "entity_id": IDP, "metadata_xml": idp.metadata(), "name_id_format": saml::name_id::EMAIL,
            "attribute_mapping": { "keys": { "a": { "name": "b" } } },
        })
    );
    assert_eq!(made["domains"], json!([{ "domain": "example.com" }, { "domain": "example.org" }]));
    let path = format!("/admin/sso/providers/{id}");
    assert_eq!(world.admin("GET", &path, Value::Null).await.ok(), made);
    assert_eq!(
        world.admin("GET", "/admin/sso/providers/resource_team%2F1", Value::Null).await.ok()["id"],
        made["id"]
    );
    // What is not named stays, but for the format of names.
    let changed = json!({ "domains": ["EXAMPLE.org", "example.net"], "resource_id": "", "disabled": true });
    let changed = world.admin("PUT", &path, changed).await.ok();
    assert_eq!(changed["domains"], json!([{ "domain": "example.net" }, { "domain": "example.org" }]));
    assert_eq!((&changed["disabled"], changed.get("resource_id")), (&json!(true), None));
    assert_eq!(changed["saml"]["attribute_mapping"], made["saml"]["attribute_mapping"]);
    assert_eq!(changed["saml"].get("name_id_format"), None);
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.ok()["id"], made["id"]);
    assert_eq!(world.admin("GET", &path, Value::Null).await.refusal(), (404, "sso_provider_not_found"));
    assert_eq!(world.sql("select count(*) from auth.sso_domains").await, "0");
}

#[tokio::test]
async fn lists_are_short_and_filtered() {
    let world = world().await;
    for (entity, resource) in [("https://a", "x1"), ("https://b", "x2"), ("https://c", "y%1")] {
        add(&world, &Idp::new(entity), json!({ "resource_id": resource })).await;
        world.advance(1);
    }
    let list = async |query: &str| -> Vec<String> {
        let answer = world.admin("GET", &format!("/admin/sso/providers{query}"), Value::Null).await.ok();
        let items = answer["items"].as_array().unwrap().clone();
        assert!(items.iter().all(|item| item["saml"].get("metadata_xml").is_none()));
        items.iter().map(|item| text(item, "/saml/entity_id").to_owned()).collect()
    };
    assert_eq!(list("").await, ["https://a", "https://b", "https://c"]);
    assert_eq!(list("?resource_id=x2").await, ["https://b"]);
    assert_eq!(list("?resource_id_prefix=x").await, ["https://a", "https://b"]);
    assert_eq!(list("?resource_id_prefix=y%25").await, ["https://c"]);
    assert!(list("?resource_id_prefix=%25").await.is_empty());
}

#[tokio::test]
async fn only_administrators_keep_providers() {
    let world = world().await;
    let token = text(&world.sign_up("ann@example.com").await, "/access_token").to_owned();
    let path = format!("/admin/sso/providers/{}", uuid::Uuid::new_v4());
    for (method, path) in [
        ("GET", "/admin/sso/providers"),
        ("POST", "/admin/sso/providers"),
        ("GET", path.as_str()),
        ("PUT", &path),
        ("DELETE", &path),
    ] {
        assert_eq!(world.call(method, path, Some(&token), json!({})).await.refusal(), (403, "not_admin"));
        assert_eq!(world.call(method, path, None, json!({})).await.refusal(), (401, "no_authorization"));
    }
    assert_eq!(
        world.admin("GET", "/admin/sso/providers/x", Value::Null).await.refusal(),
        (404, "sso_provider_not_found")
    );
}

#[tokio::test]
async fn what_makes_no_provider_is_said() {
    let world = world().await;
    let idp = Idp::new(IDP);
    add(&world, &idp, json!({ "domains": ["example.com"] })).await;
    let other = Idp::new("https://other.example.com").metadata();
    let empty = "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"x\"/>";
    let cases = [
        (json!({}), 400, "validation_failed"),
        (json!({ "type": "oidc", "metadata_xml": other }), 400, "validation_failed"),
        (json!({ "type": "saml" }), 400, "validation_failed"),
        (
            json!({ "type": "saml", "metadata_xml": other, "metadata_url": "https://x.dev" }),
            400,
            "validation_failed",
        ),
        (json!({ "type": "saml", "metadata_xml": "<x" }), 400, "validation_failed"),
        (json!({ "type": "saml", "metadata_xml": empty }), 400, "validation_failed"),
        (json!({ "type": "saml", "metadata_xml": other, "name_id_format": "x" }), 400, "validation_failed"),
        (json!({ "type": "saml", "metadata_xml": other, "domains": [""] }), 400, "validation_failed"),
        (json!({ "type": "saml", "metadata_url": "http://x.dev" }), 400, "validation_failed"),
        (json!({ "type": "saml", "metadata_url": "x" }), 400, "validation_failed"),
        (
            json!({ "type": "saml", "metadata_url": "https://127.0.0.1:1/x" }),
            400,
            "saml_metadata_fetch_failed",
        ),
        (json!({ "type": "saml", "metadata_url": "https://localhost/x" }), 400, "saml_metadata_fetch_failed"),
        (json!({ "type": "saml", "metadata_xml": idp.metadata() }), 422, "saml_idp_already_exists"),
        (
            json!({ "type": "saml", "metadata_xml": other, "domains": ["EXAMPLE.com"] }),
            400,
            "sso_domain_already_exists",
        ),
        (json!({ "type": "saml", "metadata_xml": other, "attribute_mapping": 1 }), 400, "bad_json"),
    ];
    for (body, status, code) in cases {
        let answer = create(&world, body.clone()).await;
        assert_eq!(answer.refusal(), (status, code), "{body}: {}", answer.text);
    }
    assert_eq!(world.sql("select count(*) from auth.sso_providers").await, "1");
}

#[tokio::test]
async fn metadata_of_another_entity_do_not_take_a_providers_place() {
    let scene = Scene::new().await;
    let path = format!("/admin/sso/providers/{}", scene.provider);
    let other = Idp::new("https://other.example.com");
    let answer = scene.world.admin("PUT", &path, json!({ "metadata_xml": other.metadata() })).await;
    assert_eq!(answer.refusal(), (400, "saml_entity_id_mismatch"));
    // New keys of the same entity do.
    let renewed = Idp::new(IDP);
    scene.world.admin("PUT", &path, json!({ "metadata_xml": renewed.metadata() })).await.ok();
    let scene = Scene { idp: renewed, ..scene };
    sso::session(&scene.arrive("ann@example.com").await);
}

/// Answers every request with the same document.
async fn serve(document: String) -> String {
    counting(document).await.0
}

/// The same, and how often it was asked.
async fn counting(document: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let document = Arc::new(document);
    let asked = Arc::new(AtomicUsize::new(0));
    let asked_here = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            asked_here.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{document}",
                document.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (format!("http://{address}/metadata"), asked)
}

#[tokio::test]
async fn metadata_that_cannot_be_read_again_are_tried_once_a_minute() {
    let scene = Scene::with(|settings| settings.outbound = Client::new(Reach::Anywhere).unwrap()).await;
    let (url, asked) = counting("out of order".to_owned()).await;
    scene.world.run_sql(&format!("update auth.saml_providers set metadata_url = '{url}'")).await;
    scene.world.advance(90_000);
    for name in ["ann@example.com", "bob@example.com", "eve@example.com"] {
        sso::session(&scene.arrive(name).await);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    scene.world.advance(61);
    sso::session(&scene.arrive("ann@example.com").await);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn stale_metadata_are_read_again() {
    let scene = Scene::with(|settings| settings.outbound = Client::new(Reach::Anywhere).unwrap()).await;
    let renewed = Idp::new(IDP);
    let url = serve(renewed.metadata()).await;
    scene.world.run_sql(&format!("update auth.saml_providers set metadata_url = '{url}'")).await;
    // A day later the keys are others.
    let old = scene.idp.answer(&scene.claims("ann@example.com"));
    sso::session(&scene.post(&old, "").await);
    scene.world.advance(90_000);
    let scene = Scene { idp: renewed, ..scene };
    sso::session(&scene.arrive("ann@example.com").await);
    assert_eq!(scene.world.sql("select metadata_xml from auth.saml_providers").await, scene.idp.metadata(),);
}

#[tokio::test]
async fn metadata_that_cannot_be_read_again_stay_as_they_were() {
    let scene = Scene::with(|settings| settings.outbound = Client::new(Reach::Anywhere).unwrap()).await;
    let stranger = serve(Idp::new("https://evil.example.com").metadata()).await;
    for url in [stranger.as_str(), "http://127.0.0.1:1/gone"] {
        scene.world.run_sql(&format!("update auth.saml_providers set metadata_url = '{url}'")).await;
        scene.world.advance(90_000);
        sso::session(&scene.arrive("ann@example.com").await);
    }
}
