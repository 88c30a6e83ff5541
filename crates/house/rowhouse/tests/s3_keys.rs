//! Access keys of the S3 protocol, made and revoked while the project runs, and users' sessions.

use crate::platform::{Operator, text};
use crate::program::{Answer, Folder, Program, run, until};
use crate::settings::catalog_text;
use serde_json::json;
use sigv4::{Request, Signer};
use std::time::SystemTime;

const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Sends a signed request to a project by its path.
fn signed(program: &Program, signer: &Signer, method: &str, path: &str) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = Request { method, path, query, headers: &[("host", "127.0.0.1")] };
    let signed = signer.sign(&request, NOTHING, SystemTime::now().into());
    let headers: Vec<(&str, &str)> =
        signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    program.send(method, &target, &headers, "")
}

fn signer(access_key: &str, secret: &str, token: Option<&str>) -> Signer {
    let token = token.map(str::to_owned);
    let [access_key, secret, region, service] = [access_key, secret, "local", "s3"].map(str::to_owned);
    Signer { access_key, secret, token, region, service }
}

#[tokio::test]
async fn keys_come_and_go_and_users_have_the_public_one() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    for tenancy in ["pooled", "dedicated"] {
        let project = operator.created(&format!("with-{tenancy}"), tenancy);
        let reference = text(&project, "ref");
        let base = format!("/p/{reference}/storage/v1/s3");
        let made = operator.projects(&["s3-keys", "create", reference, "backup"]);
        let (access, secret) = (text(&made, "access_key"), text(&made, "secret_key"));
        let key = signer(access, secret, None);
        until("the key opens", || signed(&program, &key, "PUT", &format!("{base}/b")).status == 200);
        assert!(signed(&program, &key, "GET", &base).body.contains("<Name>b</Name>"));
        let wrong = signer(access, "wrong", None);
        assert_eq!(signed(&program, &wrong, "GET", &base).status, 403);

        let stored = catalog_text(&folder).await;
        assert!(stored.contains(access) && stored.contains("s3_key.create"), "{stored}");
        assert!(!stored.contains(secret));
        let listed = operator.projects(&["s3-keys", "list", reference]);
        assert_eq!(listed[0]["access_key"], json!(access));
        assert_eq!(listed[0].get("secret_key"), None);
        // Settings that change do not take the keys along.
        operator.projects(&["settings", "set", reference, "auth.enable_signup=true"]);
        until("the key still opens", || signed(&program, &key, "GET", &base).status == 200);

        let user = operator.client(&program, &project).signed_up("a@example.com");
        let token = user.token.as_deref();
        let session = signer(reference, &user.key, token);
        let seen = signed(&program, &session, "GET", &base);
        assert_eq!((seen.status, seen.body.contains("<Name>")), (200, false), "{seen:?}");
        assert_eq!(signed(&program, &session, "PUT", &format!("{base}/mine")).status, 403);

        let gone = run(&["projects", "s3-keys", "revoke", reference, "backup", "--data", &operator.data]);
        assert!(gone.status.success(), "{}", String::from_utf8_lossy(&gone.stderr));
        until("the key opens nothing", || signed(&program, &key, "GET", &base).status == 403);
        assert_eq!(operator.projects(&["s3-keys", "list", reference]), json!([]));
    }
    assert!(program.stop());
}
