//! Users who move in and out, their hashes, and finding them.

use crate::world::{self, World, text};
use auth::transfer;
use serde_json::{Value, json};

/// Of `password`, by argon2's reference implementation.
const ARGON2: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
/// Of `user1password`, from the documentation of Firebase's tool.
const FIREBASE: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

#[tokio::test]
async fn hashes_from_elsewhere_sign_in_and_become_ours() {
    let world = World::new().await;
    for (email, hash, password) in
        [("argon@example.com", ARGON2, "password"), ("fire@example.com", FIREBASE, "user1password")]
    {
        let body = json!({ "email": email, "email_confirm": true, "password_hash": hash });
        let made = world.admin("POST", "/admin/users", body).await.ok();
        assert_eq!(world.sign_in(email, "wrong password").await.refusal(), (400, "invalid_credentials"));
        world.sign_in(email, password).await.ok();
        let kept = format!("select left(encrypted_password, 7) from auth.users where email = '{email}'");
        assert_eq!(world.sql(&kept).await, "$2a$10$", "made anew");
        let session = world.sign_in(email, password).await.ok();
        // Set again by the administrator, which ends the sessions.
        let path = format!("/admin/users/{}", text(&made, "/id"));
        world.admin("PUT", &path, json!({ "password_hash": hash })).await.ok();
        assert_eq!(world.get("/user", text(&session, "/access_token")).await.status, 403);
        world.sign_in(email, password).await.ok();
        let dear = hash.replace("m=65536", "m=1048576").replace("n=14", "n=20");
        let refused = world.admin("PUT", &path, json!({ "password_hash": dear })).await;
        assert_eq!(refused.refusal(), (400, "validation_failed"));
    }
}

#[tokio::test]
async fn users_are_exported_and_imported_elsewhere_with_everything() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await;
    world
        .run_sql(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at)
            select '42', id, '{\"email\": \"ann@work.test\", \"sub\": \"42\"}', 'google', now() from auth.users",
        )
        .await;
    let mut from = world.database.connect().await;
    let users = transfer::export(&mut from, &[], None).await.unwrap();
    assert_eq!(users.len(), 1);
    let last = text(&ann, "/user/id").parse().unwrap();
    assert!(transfer::export(&mut from, &[], Some(last)).await.unwrap().is_empty());

    let other = World::new().await;
    let mut to = other.database.connect().await;
    let report = transfer::import(&mut to, &[], &users).await.unwrap();
    assert_eq!((report.created, report.present, report.refused.len()), (1, 0, 0));
    let session = other.sign_in("ann@example.com", "password1").await.ok();
    assert_eq!(session["user"]["id"], ann["user"]["id"]);
    let providers: Vec<_> =
        session["user"]["identities"].as_array().unwrap().iter().map(|i| text(i, "/provider")).collect();
    assert_eq!(providers.len(), 2, "{providers:?}");
    // Again, as after a cut-off: nothing changes, also not what has changed since.
    other.run_sql("update auth.users set raw_user_meta_data = '{\"kept\": true}'").await;
    let report = transfer::import(&mut to, &[], &users).await.unwrap();
    assert_eq!((report.created, report.present), (0, 1));
    assert_eq!(other.sql("select raw_user_meta_data ->> 'kept' from auth.users").await, "true");
}

#[tokio::test]
async fn an_import_takes_what_is_good_and_names_the_rest() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let users = [
        json!({ "email": "bob@example.com", "password_hash": ARGON2, "email_confirm": true }),
        json!({ "email": "ann@example.com" }),
        json!({ "email": "nonsense" }),
        json!({ "phone": "+491701", "phone_confirm": true }),
        json!({ "email": "eve@example.com", "password_hash": "$argon2id$v=19$m=4000000,t=2,p=1$c29tZXNhbHQ$AAAAAA" }),
    ];
    let mut c = world.database.connect().await;
    let report = transfer::import(&mut c, &[], &users).await.unwrap();
    assert_eq!((report.created, report.present), (2, 0));
    let refused: Vec<usize> = report.refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(refused, [1, 2, 4]);
    let again = transfer::import(&mut c, &[], &users).await.unwrap();
    assert_eq!((again.created, again.present, again.refused), (0, 2, report.refused));
    world.sign_in("bob@example.com", "password").await.ok();
}

#[tokio::test]
async fn an_import_stays_in_its_realm() {
    let database = world::shard().await;
    let mut c = database.connect().await;
    let of = |app: u32| [("rowhouse.app_id".to_owned(), app.to_string())];
    let users = [json!({ "email": "ann@example.com" })];
    for app in [1, 2] {
        let report = transfer::import(&mut c, &of(app), &users).await.unwrap();
        assert_eq!(report.created, 1, "the same address in app {app}");
        assert_eq!(transfer::export(&mut c, &of(app), None).await.unwrap().len(), 1);
    }
    assert!(transfer::export(&mut c, &of(3), None).await.unwrap().is_empty());
}

#[tokio::test]
async fn users_are_found_by_address_and_listed_by_cursor() {
    let world = World::new().await;
    for number in 0..7 {
        world.sign_up(&format!("user{number}@example.com")).await;
        // Some are made in the same moment.
        world.advance(number % 2);
    }
    let found = world.admin("GET", "/admin/users?email=USER3@example.com", Value::Null).await;
    assert_eq!(found.header("x-total-count"), "1");
    assert_eq!(found.ok()["users"][0]["email"], "user3@example.com");
    let none = world.admin("GET", "/admin/users?email=user@example.com", Value::Null).await.ok();
    assert_eq!(none["users"], json!([]), "the whole address, no part of it");
    assert_eq!(world.admin("GET", "/admin/users?phone=491", Value::Null).await.ok()["users"], json!([]));
    for sort in ["created_at asc", "created_at desc"] {
        let (mut path, mut seen) =
            (format!("/admin/users?limit=3&sort={}", sort.replace(' ', "+")), Vec::new());
        loop {
            let answer = world.admin("GET", &path, Value::Null).await;
            let link = answer.header("link").to_owned();
            let page = answer.ok();
            seen.extend(page["users"].as_array().unwrap().iter().map(|u| text(u, "/email").to_owned()));
            let Some(next) = page["pagination"]["next_cursor"].as_str() else { break };
            assert!(link.contains("rel=\"next\"") && link.contains(next), "{link}");
            path = link.split(['<', '>']).nth(1).unwrap().to_owned();
        }
        assert_eq!(seen.len(), 7, "{seen:?}");
        assert_eq!(seen.iter().collect::<std::collections::HashSet<_>>().len(), 7);
    }
    for query in ["cursor=nonsense", "limit=0", "cursor=e30"] {
        let refused = world.admin("GET", &format!("/admin/users?{query}"), Value::Null).await;
        assert_eq!(refused.refusal(), (400, "validation_failed"), "{query}");
    }
}

#[tokio::test]
async fn looking_for_a_user_among_many_reads_no_whole_table() {
    let world = World::new().await;
    world
        .run_sql(
            "insert into auth.users (instance_id, id, aud, role, email, phone, created_at, updated_at)
            select '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated',
              'u' || n || '@example.com', n::text, now() - n * interval '1 second', now()
            from generate_series(1, 20000) n;
            analyze auth.users",
        )
        .await;
    let plan = async |condition: &str| {
        let sql = format!(
            "explain (format json) select to_jsonb(u) from auth.users u where u.aud = 'authenticated' {condition}"
        );
        world.sql(&sql).await
    };
    for condition in [
        "and ((u.is_sso_user = false and u.email = 'u7@example.com') or (u.instance_id = '00000000-0000-0000-0000-000000000000' and lower(u.email) = 'u7@example.com')) order by u.created_at desc, u.id desc limit 50",
        "and u.phone = '7' order by u.created_at desc, u.id desc limit 50",
        "order by u.created_at desc, u.id desc limit 50",
        "and (u.created_at, u.id) < (now() - interval '1 hour', gen_random_uuid()) order by u.created_at desc, u.id desc limit 50",
    ] {
        let plan = plan(condition).await;
        assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{condition}: {plan}");
    }
}
