//! Functions of the project's database that take part in decisions.

use crate::world::{SECRET, World, text};
use serde_json::{Value, json};

async fn with(hook: &str, configure: fn(&mut auth::HookSettings, auth::Hook)) -> World {
    let function = auth::Hook::new("pg-functions://postgres/public/my_hook", &"".into()).unwrap();
    let world = World::with(|settings| configure(&mut settings.hooks, function)).await;
    set(&world, hook).await;
    world
}

/// Replaces the hook by one with this body.
async fn set(world: &World, body: &str) {
    let script = format!(
        "create or replace function public.my_hook(event jsonb) returns jsonb language plpgsql as $$ begin {body} end $$;
         grant execute on function public.my_hook(jsonb) to supabase_auth_admin;"
    );
    world.run_sql(&script).await;
}

fn claims(session: &Value) -> serde_json::Map<String, Value> {
    ::token::KeySet::from_secret(SECRET).verify(text(session, "/access_token")).unwrap().claims
}

#[tokio::test]
async fn a_hook_changes_the_claims_of_tokens() {
    let world = with(
        "return jsonb_build_object('claims', event->'claims' || jsonb_build_object(
           'plan', 'pro', 'how', event->'authentication_method', 'told', event->'metadata'->'name'));",
        |hooks, function| hooks.custom_access_token = Some(function),
    )
    .await;
    let session = world.sign_up("ann@example.com").await;
    let first = claims(&session);
    assert_eq!((&first["plan"], &first["how"]), (&json!("pro"), &json!("password")));
    assert_eq!(first["told"], "customize-access-token");
    assert_eq!(first["email"], "ann@example.com");
    world.get("/user", text(&session, "/access_token")).await.ok();
    let fresh = world.refresh(text(&session, "/refresh_token")).await.ok();
    assert_eq!(claims(&fresh)["how"], "token_refresh");
}

#[tokio::test]
async fn a_hook_that_refuses_or_fails_gives_no_token() {
    let world = with("return '{}';", |hooks, function| hooks.custom_access_token = Some(function)).await;
    world.run_sql("create table public.pause (n integer)").await;
    let cases = [
        ("return '{}';", 500, "unexpected_failure", "output claims field is missing"),
        (
            "return jsonb_build_object('claims', (event->'claims') - 'role');",
            500,
            "unexpected_failure",
            "output claims do not conform to the expected schema: \n- (root): role is required\n",
        ),
        ("return '{\"error\":{\"http_code\":403,\"message\":\"not you\"}}';", 403, "unknown", "not you"),
        ("return '{\"error\":{\"message\":\"no\"}}';", 500, "unexpected_failure", "no"),
        (
            "return (select jsonb_build_object('n', n) from public.pause);",
            500,
            "unexpected_failure",
            "Error running hook URI: pg-functions://postgres/public/my_hook",
        ),
        (
            "perform pg_sleep(60); return '{}';",
            422,
            "hook_timeout",
            "Failed to run hook within maximum time of 2.000000 seconds",
        ),
    ];
    world.post("/signup", json!({ "email": "ann@example.com", "password": "password1" })).await;
    for (body, status, code, message) in cases {
        set(&world, body).await;
        let refused = world.sign_in("ann@example.com", "password1").await;
        assert_eq!(refused.refusal(), (status, code), "{body}: {}", refused.text);
        assert_eq!(refused.body["msg"], message);
    }
    set(&world, "raise exception 'my reason';").await;
    let raised = world.sign_in("ann@example.com", "password1").await;
    assert_eq!((raised.status, &raised.body["message"]), (500, &json!("my reason")), "{}", raised.text);
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "0", "nobody has their tokens");
}

#[tokio::test]
async fn a_hook_rejects_attempts_with_a_password() {
    let world = with(
        "if (event->>'valid')::boolean then return '{\"decision\":\"continue\"}'; end if;
         return '{\"decision\":\"reject\",\"message\":\"enough\",\"should_logout_user\":true}';",
        |hooks, function| hooks.password_verification_attempt = Some(function),
    )
    .await;
    let session = world.sign_up("ann@example.com").await;
    world.sign_in("ann@example.com", "password1").await.ok();
    let nobody = world.sign_in("bob@example.com", "password1").await;
    assert_eq!(nobody.body["msg"], "Invalid login credentials", "there is nobody to tell of");
    let rejected = world.sign_in("ann@example.com", "wrong").await;
    assert_eq!(rejected.refusal(), (400, "invalid_credentials"));
    assert_eq!(rejected.body["msg"], "enough");
    let gone = world.get("/user", text(&session, "/access_token")).await;
    assert_eq!(gone.refusal(), (403, "session_not_found"));
}
