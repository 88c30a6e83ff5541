//! Keys that sign tokens: new ones, and their rotation while everything runs.

use crate::platform::{Operator, text, todos};
use crate::program::{Client, Folder, Program, run, run_failing, until};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

fn header(client: &Client<'_>) -> Value {
    let token = client.token.as_deref().unwrap();
    serde_json::from_slice(&B64.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

fn published(client: &Client<'_>) -> Vec<Value> {
    let set = client.get("/auth/v1/.well-known/jwks.json").json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

#[test]
fn signing_keys_rotate_with_overlap_while_the_project_runs() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let project = operator.created("rotating", "pooled");
    operator.apply(&project, &todos());
    let reference = text(&project, "ref");
    let keys = |args: &[&str]| operator.projects(&[&["keys"], args].concat());
    let anon = operator.client(&program, &project);

    let first = keys(&["list", reference]);
    assert_eq!((text(&first[0], "algorithm"), text(&first[0], "status")), ("ES256", "in_use"));
    assert_eq!((text(&first[1], "algorithm"), text(&first[1], "status")), ("HS256", "previously_used"));
    let alice = anon.signed_up("alice@example.com");
    assert_eq!(header(&alice), json!({ "alg": "ES256", "kid": first[0]["kid"], "typ": "JWT" }));
    assert_eq!((alice.get("/auth/v1/user").status, alice.rows("todos")), (200, 0));

    // Standing by: published and verifying, not signing.
    let second = keys(&["create", reference, "--algorithm", "EdDSA"])[1].clone();
    assert_eq!((text(&second, "algorithm"), text(&second, "status")), ("EdDSA", "standby"));
    until("the new key is published", || published(&anon).contains(&second["kid"]));
    assert_eq!(header(&anon.signed_up("bob@example.com"))["kid"], first[0]["kid"]);
    let one_more = ["projects", "keys", "create", reference, "--data", &operator.data];
    assert!(run_failing(&one_more).contains("stands by already"));

    keys(&["rotate", reference]);
    let carol = anon.signed_up("carol@example.com");
    assert_eq!(header(&carol), json!({ "alg": "EdDSA", "kid": second["kid"], "typ": "JWT" }));
    for user in [&alice, &carol] {
        assert_eq!((user.get("/auth/v1/user").status, user.get("/rest/v1/todos").status), (200, 200));
    }

    // Revoked: what it signed is worth nothing, everything else goes on.
    let kid = text(&first[0], "kid");
    let unsure = ["projects", "keys", "revoke", reference, kid, "--data", &operator.data];
    assert!(run_failing(&unsure).contains("--yes"));
    let in_use = ["projects", "keys", "revoke", reference, text(&second, "kid"), "--yes", "--data"];
    assert!(run_failing(&[&in_use[..], &[&operator.data]].concat()).contains("in use"));
    keys(&["revoke", reference, kid, "--yes"]);
    assert_eq!((alice.get("/auth/v1/user").status, alice.get("/rest/v1/todos").status), (403, 401));
    assert_eq!((carol.get("/auth/v1/user").status, carol.get("/rest/v1/todos").status), (200, 200));
    assert_eq!(published(&anon), [second["kid"].clone()]);
    assert_eq!(anon.rows("todos"), 0, "the legacy key was signed with the secret");

    // Another project's keys are its own.
    let other = operator.created("other", "pooled");
    operator.apply(&other, &todos());
    let stranger = Client { token: carol.token.clone(), ..operator.client(&program, &other) };
    assert_eq!((stranger.get("/auth/v1/user").status, stranger.get("/rest/v1/todos").status), (403, 401));

    // Without the secret the legacy keys end; the opaque ones do not.
    let all = operator.projects(&["keys", reference]);
    keys(&["revoke", reference, text(&first[1], "id"), "--yes"]);
    assert_eq!(anon.get("/rest/v1/todos").status, 401);
    let opaque = Client { key: text(&all, "publishable_key").to_owned(), ..anon.clone() };
    assert_eq!(opaque.get("/rest/v1/todos").status, 200);
    let listed = keys(&["list", reference]);
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|key| text(key, "status")).collect();
    assert_eq!(states, ["in_use", "revoked", "revoked"]);
    assert!(!listed.to_string().contains("\"d\""), "{listed}");
    assert!(program.stop());
}

#[test]
fn a_local_stack_signs_with_the_well_known_key_until_the_folder_has_its_own() {
    let folder = Folder::new();
    let well_known = token::local_signing_jwk();
    let program = Program::start(&folder, None);
    let alice = client(&program).signed_up("alice@example.com");
    assert_eq!(header(&alice)["kid"], well_known["kid"]);
    let old = alice.token.clone();
    assert!(program.stop());

    let (next, before) = (token::new_ed25519_jwk("next"), {
        let mut jwk = token::new_es256_jwk("before");
        jwk["key_ops"] = json!(["verify"]);
        jwk
    });
    folder.write("signing_keys.json", &json!([before, next]).to_string());
    folder.write("config.toml", "[auth]\nsigning_keys_path = \"./signing_keys.json\"\n");
    let program = Program::start(&folder, None);
    let bob = client(&program).signed_up("bob@example.com");
    assert_eq!(header(&bob), json!({ "alg": "EdDSA", "kid": "next", "typ": "JWT" }));
    let mut names = published(&bob);
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["before", "next"]);
    let late = Client { token: old, ..client(&program) };
    assert_eq!(
        late.get("/auth/v1/user").status,
        403,
        "the folder's keys take the place of the well-known one"
    );
    assert!(program.stop());
}

fn client(program: &Program) -> Client<'_> {
    Client { program, prefix: String::new(), key: program.value("ANON_KEY").to_owned(), token: None }
}

#[test]
fn users_move_between_projects_with_their_passwords() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let (old, new) = (operator.created("old", "pooled"), operator.created("new", "dedicated"));
    let before = operator.client(&program, &old);
    for name in ["alice", "bob"] {
        before.signed_up(&format!("{name}@example.com"));
    }
    let file = folder.path().join("users.ndjson");
    let file = file.to_str().unwrap();
    let users = |words: &[&str]| run(&[&["projects", "users"], words, &["--data", &operator.data]].concat());
    let exported = users(&["export", text(&old, "ref"), file]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    for said in ["2 users added, 0 were there already", "0 users added, 2 were there already"] {
        let imported = users(&["import", text(&new, "ref"), file]);
        let out = String::from_utf8(imported.stdout).unwrap();
        assert!(imported.status.success() && out.contains(said), "{out}");
    }
    let body = json!({ "email": "alice@example.com", "password": "correct horse" }).to_string();
    let after = operator.client(&program, &new);
    assert_eq!(after.send("POST", "/auth/v1/token?grant_type=password", &body).status, 200);
    std::fs::write(file, "{\"email\":\"nonsense\"}\n").unwrap();
    let refused = users(&["import", text(&new, "ref"), file]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("line 1: "));
    assert!(program.stop());
}
