//! Mail on its way: sent after the commit, tried again, given up with a reason, never lost or shown to others.

use crate::world::{self, World, text};
use auth::{Bell, LetterText, Notification, Settings};
use mail::{Carrier, Inbox};
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A mailbox that can be closed.
#[derive(Debug, Default)]
struct Post {
    closed: AtomicBool,
    rung: AtomicUsize,
    kept: Mutex<Vec<(String, String)>>,
}

impl Inbox for Post {
    fn keep<'a>(
        &'a self,
        _: &'a str,
        to: &'a str,
        message: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            // Others get their turn, as they would while a server answers.
            tokio::task::yield_now().await;
            if self.closed.load(Ordering::SeqCst) {
                return Err("nobody is there".to_owned());
            }
            self.kept.lock().unwrap().push((to.to_owned(), String::from_utf8(message).unwrap()));
            Ok(())
        })
    }
}

impl Bell for Post {
    fn ring(&self, _: Duration) {
        self.rung.fetch_add(1, Ordering::SeqCst);
    }
}

impl Post {
    fn count(&self) -> usize {
        self.kept.lock().unwrap().len()
    }

    /// The newest message to an address, its soft line ends undone.
    fn to(&self, address: &str) -> String {
        let kept = self.kept.lock().unwrap();
        let found = kept.iter().rev().find(|(to, _)| to == address);
        found.map(|(_, message)| message.replace("=\r\n", "").replace("=3D", "=")).expect("a message")
    }
}

fn configure(post: &Arc<Post>, settings: &mut Settings) {
    settings.mailer_autoconfirm = false;
    settings.mailer_max_frequency = Duration::ZERO;
    settings.rate_limits.email_sent = 1000;
    settings.mail.bell = Some(Arc::clone(post) as Arc<dyn Bell>);
    settings.mail.carrier = Carrier::Inbox(Arc::clone(post) as Arc<dyn Inbox>);
}

async fn with_post(further: impl FnOnce(&mut Settings)) -> (World, Arc<Post>) {
    let post = Arc::new(Post::default());
    let world = World::with(|settings| {
        configure(&post, settings);
        further(settings);
    })
    .await;
    (world, post)
}

async fn waiting(world: &World) -> String {
    world.sql("select count(*) from rowhouse.mail_outbox where failed_at is null").await
}

async fn confirmed(world: &World, email: &str) {
    let body = json!({ "email": email, "password": "password1", "email_confirm": true });
    world.admin("POST", "/admin/users", body).await.ok();
}

/// The six digits of a message's subject.
fn code(message: &str) -> String {
    let subject = message.lines().find(|line| line.starts_with("Subject: ")).unwrap();
    subject["Subject: ".len()..].chars().take(6).collect()
}

#[tokio::test]
async fn a_message_is_sent_after_the_commit_and_then_forgotten() {
    let (world, post) = with_post(|_| {}).await;
    world.sign_up("ann@example.com").await;
    assert_eq!(post.rung.load(Ordering::SeqCst), 1);
    assert_eq!((waiting(&world).await.as_str(), post.count()), ("1", 0));
    assert_eq!(world.auth.deliver().await, None);
    assert_eq!(
        (world.sql("select count(*) from rowhouse.mail_outbox").await.as_str(), post.count()),
        ("0", 1)
    );
    let message = post.to("ann@example.com");
    assert!(message.contains("/verify?token=") && message.contains("Message-ID: <"), "{message}");
    let body = json!({ "type": "signup", "email": "ann@example.com", "token": code(&message) });
    assert_eq!(world.post("/verify", body).await.ok()["user"]["email"], "ann@example.com");
}

#[tokio::test]
async fn a_message_is_tried_again_until_it_is_taken() {
    let (world, post) = with_post(|_| {}).await;
    post.closed.store(true, Ordering::SeqCst);
    world.sign_up("ann@example.com").await;
    let next = world.auth.deliver().await.unwrap();
    assert!(next > Duration::ZERO && next <= Duration::from_secs(6), "{next:?}");
    let answer = world.admin("GET", "/admin/mail", Value::Null).await.ok();
    assert_eq!(answer["messages"][0]["reason"], "nobody is there");
    assert_eq!(answer["messages"][0]["attempts"], 1);
    // Not before its time.
    post.closed.store(false, Ordering::SeqCst);
    assert!(world.auth.deliver().await.is_some());
    assert_eq!(post.count(), 0);
    world.advance(next.as_secs());
    assert_eq!(world.auth.deliver().await, None);
    assert_eq!(post.count(), 1);
}

#[tokio::test]
async fn what_is_too_late_is_kept_with_the_reason_but_without_its_code() {
    let (world, post) = with_post(|settings| settings.mailer_otp_expiry = Duration::from_secs(600)).await;
    post.closed.store(true, Ordering::SeqCst);
    world.sign_up("ann@example.com").await;
    let token = text(&world.mail("signup").await, "/token").to_owned();
    while let Some(next) = world.auth.deliver().await {
        world.advance(next.as_secs());
    }
    assert_eq!(
        world.sql("select data::text from rowhouse.mail_outbox where failed_at is not null").await,
        "{}"
    );
    let answer = world.admin("GET", "/admin/mail", Value::Null).await;
    assert!(!answer.text.contains(&token), "{}", answer.text);
    let message = &answer.ok()["messages"][0];
    assert_eq!(
        (&message["recipient"], &message["reason"]),
        (&json!("ann@example.com"), &json!("nobody is there"))
    );
    assert!(message["failed_at"].is_string() && message["attempts"].as_u64() > Some(2), "{message}");
    // It would have been too late by now, whoever takes it.
    post.closed.store(false, Ordering::SeqCst);
    world.advance(86_400);
    assert_eq!((world.auth.deliver().await, post.count()), (None, 0));
    assert_eq!(world.call("GET", "/admin/mail", None, Value::Null).await.refusal().0, 401);
}

#[tokio::test]
async fn an_expired_message_is_not_sent_when_the_sender_comes_back() {
    let (world, post) = with_post(|_| {}).await;
    world.sign_up("ann@example.com").await;
    world.advance(86_401);
    assert_eq!((world.auth.deliver().await, post.count()), (None, 0));
    let reason = world.sql("select reason from rowhouse.mail_outbox").await;
    assert_eq!(reason, "it could not be sent before it expired");
}

#[tokio::test]
async fn without_a_server_messages_are_dropped_visibly() {
    let (world, _) = with_post(|settings| settings.mail.carrier = Carrier::Nobody).await;
    world.sign_up("ann@example.com").await;
    assert_eq!(world.auth.deliver().await, None);
    assert_eq!(world.sql("select reason from rowhouse.mail_outbox").await, "no SMTP server is configured");
}

#[tokio::test]
async fn only_the_newest_code_is_sent() {
    let (world, post) = with_post(|_| {}).await;
    confirmed(&world, "ann@example.com").await;
    for _ in 0..2 {
        world.post("/otp", json!({ "email": "ann@example.com" })).await.ok();
    }
    world.auth.deliver().await;
    assert_eq!(post.count(), 1);
    let body =
        json!({ "type": "email", "email": "ann@example.com", "token": code(&post.to("ann@example.com")) });
    world.post("/verify", body).await.ok();
}

#[tokio::test]
async fn of_several_senders_one_sends() {
    let (world, post) = with_post(|_| {}).await;
    for n in 0..40 {
        world.sign_up(&format!("user{n}@example.com")).await;
    }
    tokio::join!(world.auth.deliver(), world.auth.deliver(), world.auth.deliver());
    assert_eq!(post.count(), 40);
    assert_eq!(waiting(&world).await, "0");
}

#[tokio::test]
async fn who_dies_while_sending_leaves_the_message_to_the_next() {
    let (world, post) = with_post(|_| {}).await;
    world.sign_up("ann@example.com").await;
    // As a sender that was killed after its claim.
    world
        .run_sql(&format!(
            "update rowhouse.mail_outbox set attempts = 1, next_attempt_at = to_timestamp({}) + interval '4 min'",
            world.unix()
        ))
        .await;
    assert!(world.auth.deliver().await.is_some());
    assert_eq!(post.count(), 0);
    world.advance(241);
    world.auth.deliver().await;
    assert_eq!(post.count(), 1);
}

#[tokio::test]
async fn messages_are_nothing_for_the_roles_of_the_api() {
    let (world, _) = with_post(|_| {}).await;
    world.sign_up("ann@example.com").await;
    for role in ["anon", "authenticated", "service_role"] {
        let mut connection = world.database.connect().await;
        connection.query(&format!("set role {role}"), &[]).await.unwrap();
        let refused = connection.query("select * from rowhouse.mail_outbox", &[]).await.unwrap_err();
        assert_eq!(refused.sqlstate(), Some("42501"), "{role}");
    }
}

#[tokio::test]
async fn nobody_puts_anything_into_a_message_but_text() {
    let (world, post) = with_post(|settings| {
        let text = LetterText {
            subject: Some("Hello {{ .Data.name }}".to_owned()),
            body: Some(
                "<p title=\"{{ .Data.name }}\">{{ .Data.name }}</p><a href=\"{{ .Data.site }}\">x</a>"
                    .to_owned(),
            ),
            ..LetterText::default()
        };
        settings.mail.texts.insert("confirmation".to_owned(), text);
    })
    .await;
    let name = "{{ .Token }}\r\nBcc: all@example.com\r\n\r\n<script>\" onload=\"x";
    let body = json!({
        "email": "ann@example.com", "password": "password1",
        "data": { "name": name, "site": "javascript:alert(1)" },
    });
    world.post("/signup", body).await.ok();
    world.auth.deliver().await;
    let message = post.to("ann@example.com");
    let (head, rest) = message.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("\r\nbcc:"), "{head}");
    assert!(head.contains("Subject: Hello {{ .Token }} Bcc: all@example.com <script>"), "{head}");
    let html = rest.split("text/html").nth(1).unwrap();
    assert!(
        !html.contains("<script>") && !html.contains("\" onload") && !html.contains("javascript:"),
        "{html}"
    );
    assert!(html.contains("{{ .Token }}") && html.contains("&lt;script&gt;"), "{html}");
}

#[tokio::test]
async fn mail_goes_to_authorized_addresses_only() {
    let (world, _) = with_post(|settings| {
        settings.mail.authorized_addresses = vec!["ann@example.com".to_owned()];
    })
    .await;
    world.sign_up("Ann+test@example.com").await;
    let body = json!({ "email": "bob@example.com", "password": "password1" });
    let refused = world.post("/signup", body).await;
    assert_eq!(refused.refusal(), (400, "email_address_not_authorized"));
    assert_eq!(
        refused.body["msg"],
        "Email address \"bob@example.com\" cannot be used as it is not authorized"
    );
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
}

#[tokio::test]
async fn the_hour_of_a_project_can_be_a_bucket() {
    let (world, _) = with_post(|settings| {
        settings.rate_limits.email_sent = 2;
        settings.mail.sent_refill = Some(Duration::from_secs(60));
    })
    .await;
    let sign_up = async |n: u32| {
        let body = json!({ "email": format!("user{n}@example.com"), "password": "password1" });
        world.post("/signup", body).await.status
    };
    assert_eq!([sign_up(1).await, sign_up(2).await, sign_up(3).await], [200, 200, 429]);
    world.advance(60);
    assert_eq!([sign_up(3).await, sign_up(4).await], [200, 429]);
}

#[tokio::test]
async fn people_are_told_of_changes_if_the_project_wants_it() {
    let all = Notification::ALL;
    let (world, post) = with_post(|settings| settings.mail.notifications.extend(all)).await;
    confirmed(&world, "ann@example.com").await;
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    let token = text(&session, "/access_token").to_owned();
    world.call("PUT", "/user", Some(&token), json!({ "password": "password2" })).await.ok();
    world.auth.deliver().await;
    assert!(post.to("ann@example.com").contains("Subject: Your password was changed"));
    world.call("PUT", "/user", Some(&token), json!({ "email": "new@example.com" })).await.ok();
    world.auth.deliver().await;
    for address in ["ann@example.com", "new@example.com"] {
        let body = json!({ "type": "email_change", "email": address, "token": code(&post.to(address)) });
        world.post("/verify", body).await.ok();
    }
    world.auth.deliver().await;
    let told = post.to("ann@example.com");
    assert!(told.contains("Subject: Your email address was changed"), "{told}");
    assert!(told.contains("from ann@example.com to new@example.com"), "{told}");
}

#[tokio::test]
async fn a_link_can_wait_for_a_press_of_the_button() {
    let (world, _) = with_post(|settings| settings.mail.confirm_page = true).await;
    world.sign_up("ann@example.com").await;
    let mail = world.mail("signup").await;
    let link = text(&mail, "/confirmation_url").strip_prefix("http://127.0.0.1:54321/auth/v1").unwrap();
    assert_eq!(world.call("HEAD", link, None, Value::Null).await.status, 405);
    for _ in 0..2 {
        let page = world.call("GET", link, None, Value::Null).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("<form method=\"post\">"), "{}", page.text);
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(
            (page.header("referrer-policy"), page.header("cache-control")),
            ("no-referrer", "no-store")
        );
    }
    let pressed = http::Request::post(link).header("content-type", "application/x-www-form-urlencoded");
    let answer = world.send(pressed.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").starts_with("http://127.0.0.1:3000#access_token="), "{answer:?}");
}

#[tokio::test]
async fn a_hook_can_take_the_mail_or_refuse_it_with_the_change() {
    let (world, post) = with_post(|settings| {
        settings.hooks.send_email = Some("pg-functions://postgres/public/send_mail".parse().unwrap());
    })
    .await;
    world
        .run_sql(
            "create table public.sent (input jsonb);
             create function public.send_mail(input jsonb) returns jsonb language plpgsql security definer as $$
             begin
               if input -> 'user' ->> 'email' like 'bad%' then
                 return '{\"error\": {\"http_code\": 418, \"message\": \"not this one\"}}';
               end if;
               insert into public.sent values (input);
               return '{}';
             end $$;",
        )
        .await;
    world.sign_up("ann@example.com").await;
    let token = world.sql("select input #>> '{email_data,token}' from public.sent").await;
    assert_eq!(
        world.sql("select input #>> '{email_data,email_action_type}' from public.sent").await,
        "signup"
    );
    assert_eq!(world.sql("select count(*) from rowhouse.mail_outbox").await, "0");
    world.auth.deliver().await;
    assert_eq!(post.count(), 0);
    let body = json!({ "type": "signup", "email": "ann@example.com", "token": token });
    world.post("/verify", body).await.ok();
    let body = json!({ "email": "bad@example.com", "password": "password1" });
    let refused = world.post("/signup", body).await;
    assert_eq!((refused.status, &refused.body["msg"]), (418, &json!("not this one")));
    assert_eq!(world.sql("select count(*) from auth.users where email like 'bad%'").await, "0");
}

#[tokio::test]
async fn a_shard_s_project_sends_its_own_mail_only() {
    let database = world::shard().await;
    let posts = [Arc::new(Post::default()), Arc::new(Post::default())];
    let auths: Vec<_> = posts
        .iter()
        .zip(["57", "58"])
        .map(|(post, app)| {
            let mut settings = world::settings(world::SECRET);
            configure(post, &mut settings);
            settings.extra_settings = vec![("rowhouse.app_id".to_owned(), app.to_owned())];
            settings
        })
        .collect();
    let [a, b] = <[Settings; 2]>::try_from(auths).unwrap();
    let first = World::on(database, a);
    first.sign_up("ann@example.com").await;
    let second = auth::Auth::new(
        b,
        world::pool(&first.database),
        Arc::new(model::FixedClock(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_100))),
    );
    second.deliver().await;
    assert_eq!((posts[0].count(), posts[1].count()), (0, 0));
    first.auth.deliver().await;
    assert_eq!((posts[0].count(), posts[1].count()), (1, 0));
}
