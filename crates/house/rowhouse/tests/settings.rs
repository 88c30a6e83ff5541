//! Settings of a project, changed while it runs.

use crate::platform::{Operator, text};
use crate::program::{Client, Folder, Program, run_failing, until};
use serde_json::{Value, json};

fn signs_up(client: &Client<'_>) -> bool {
    client.get("/auth/v1/settings").json()["disable_signup"] == json!(false)
}

/// All that the catalog's database says of projects, as a dump would show it.
pub async fn catalog_text(folder: &Folder) -> String {
    let socket = folder.path().join("data/run/system");
    let url = format!("postgresql://supabase_admin@/rowhouse?host={}", socket.display());
    let mut connection = pg::Connection::connect(&pg::Config::from_url(&url).unwrap()).await.unwrap();
    let sql = "select string_agg(t::text, ' ') from (
        select to_jsonb(p) from catalog.projects as p union all select to_jsonb(a) from catalog.audit_log as a
        union all select to_jsonb(j) from catalog.jobs as j) as t";
    let rows = connection.query(sql, &[]).await.unwrap();
    rows.first().and_then(|row| row.text(0)).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn settings_change_while_the_project_runs_and_the_catalog_shows_no_secret() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let project = operator.created("tuned", "pooled");
    let reference = text(&project, "ref");
    let settings = |args: &[&str]| operator.projects(&[&["settings"], args].concat());
    let anon = operator.client(&program, &project);
    assert!(signs_up(&anon));

    let set = settings(&[
        "set",
        reference,
        "auth.enable_signup=false",
        "auth.site_url=https://marker.example",
        "auth.sms.test_otp.4152127777=907261",
    ]);
    assert_eq!(set["auth.sms.test_otp.4152127777"], json!("(secret)"), "{set}");
    until("nobody can sign up any more", || !signs_up(&anon));
    assert_eq!(anon.get("/auth/v1/settings").json()["mailer_autoconfirm"], json!(true));

    let stored = catalog_text(&folder).await;
    assert!(stored.contains("https://marker.example") && stored.contains("auth.enable_signup"), "{stored}");
    assert!(!stored.contains("907261"), "{stored}");

    let failing =
        |pair: &str| run_failing(&["projects", "settings", "set", reference, pair, "--data", &operator.data]);
    assert!(failing("auth.rate_limit.email_sent=many").contains("auth.rate_limit.email_sent: expected"));
    assert!(failing("auth.enable_singup=true").contains("auth.enable_singup: there is no such setting"));
    let hook = "auth.hook.custom_access_token={enabled=true,uri=\"pg-functions://postgres/public/f\"}";
    assert!(failing(hook).contains("auth.hook.custom_access_token.uri"));
    assert_eq!(settings(&["get", reference]), set, "what was refused has changed nothing");

    settings(&["unset", reference, "auth.enable_signup"]);
    until("people can sign up again", || signs_up(&anon));
    let all: Value = settings(&["get", reference]);
    assert_eq!(all.get("auth.enable_signup"), None);
    assert!(program.stop());
}

#[tokio::test]
async fn features_of_storage_are_switched_while_the_project_runs() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let project = operator.created("files", "pooled");
    let reference = text(&project, "ref");
    let anon = operator.client(&program, &project);
    let picture = || anon.get("/storage/v1/render/image/public/b/k");
    let s3 = || program.send("GET", &format!("/p/{reference}/storage/v1/s3"), &[], "");
    assert_eq!(picture().json()["code"], json!("NoSuchBucket"));
    assert!(s3().body.contains("<Code>AccessDenied</Code>"), "{:?}", s3());

    let set = operator.projects(&[
        "settings",
        "set",
        reference,
        "storage.image_transformation.enabled=false",
        "storage.s3_protocol.enabled=false",
        "storage.cdn.endpoint=https://cdn.example",
        "storage.cdn.key=marker-of-the-caches",
    ]);
    assert_eq!(set["storage.cdn.key"], json!("(secret)"), "{set}");
    until("pictures are off", || picture().status == 403);
    assert_eq!(picture().json()["code"], json!("FeatureNotEnabled"));
    assert!(s3().body.contains("<Code>FeatureNotEnabled</Code>"), "{:?}", s3());
    assert!(!catalog_text(&folder).await.contains("marker-of-the-caches"));

    let failing =
        |pair: &str| run_failing(&["projects", "settings", "set", reference, pair, "--data", &operator.data]);
    let refused = failing("storage.image_transformation.max_resolution=51");
    assert!(refused.contains("expected a whole number from 1 to 50, found 51"), "{refused}");
    let refused = failing("storage.vector.enabled=true");
    assert!(refused.contains("storage.vector: there are no such buckets"), "{refused}");

    operator.projects(&["settings", "unset", reference, "storage.s3_protocol.enabled"]);
    until("the protocol is spoken again", || s3().body.contains("<Code>AccessDenied</Code>"));
    assert_eq!(picture().status, 403);
    assert!(program.stop());
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let project = operator.created("tuned", "pooled");
    let reference = text(&project, "ref");
    let names = ["sms_sent", "anonymous_users", "token_refresh", "sign_in_sign_ups", "token_verifications"];
    std::thread::scope(|scope| {
        for name in names {
            let pair = format!("auth.rate_limit.{name}=7");
            let operator = &operator;
            scope.spawn(move || operator.projects(&["settings", "set", reference, &pair]));
        }
    });
    let all = operator.projects(&["settings", "get", reference]);
    for name in names {
        assert_eq!(all[format!("auth.rate_limit.{name}")], json!(7), "{name}: {all}");
    }
    assert!(program.stop());
}

#[test]
fn a_local_stack_follows_its_file() {
    let folder = Folder::new();
    let program = Program::start(&folder, None);
    let key = program.value("ANON_KEY").to_owned();
    let anon = Client { program: &program, prefix: String::new(), key, token: None };
    assert!(signs_up(&anon));
    folder.write("config.toml", "[auth]\nenable_signup = false\n");
    until("the changed file is in effect", || !signs_up(&anon));
    // One that makes no sense changes nothing; the next does.
    folder.write("config.toml", "[auth]\nenable_signup = perhaps\n");
    folder.write("config.toml", "[auth]\nenable_signup = true\nsite_url = \"https://app.example\"\n");
    until("the file is in effect again", || signs_up(&anon));
    assert!(program.stop());
}
