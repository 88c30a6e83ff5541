//! Uploads by forms.

use sigv4::{Error, Policy, PostForm};
use time::Duration;

use super::{SECRET, Server, at, signer};

const TIME: &str = "20151229T120000Z";
const POLICY: &str = r#"{"expiration": "2015-12-30T12:00:00.000Z", "conditions": [
    {"bucket": "photos"}, ["starts-with", "$key", "user/user1/"], {"success_action_status": "201"},
    ["eq", "$Content-Type", "image/png"], ["starts-with", "$x-amz-meta-tag", ""],
    ["content-length-range", 1, 1048576], ["content-length-range", "10", "2097152"],
    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"}]}"#;

type Fields = Vec<(String, String)>;

fn form() -> Fields {
    let mut fields = signer("s3").post(POLICY, at(TIME));
    let own = [
        ("key", "user/user1/a.png"),
        ("success_action_status", "201"),
        ("content-type", "image/png"),
        ("x-amz-meta-tag", "any"),
        ("x-ignore-this", "1"),
    ];
    fields.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    fields
}

fn checked(fields: &Fields, bucket: &str) -> Result<(), Error> {
    let form = PostForm::read(fields)?;
    let server = Server::at("localhost");
    form.verify(&[SECRET], &server.expected("s3", at(TIME)))?;
    form.policy.check(fields, bucket, at(TIME))
}

fn with(name: &str, value: &str) -> Fields {
    let mut fields = form();
    fields.retain(|(n, _)| n != name);
    fields.push((name.to_owned(), value.to_owned()));
    fields
}

#[test]
fn what_the_policy_allows() {
    assert_eq!(checked(&form(), "photos"), Ok(()));
    assert_eq!(PostForm::read(&form()).expect("a form").policy.length(), Some((10, 1_048_576)));
    assert_eq!(checked(&with("x-amz-meta-tag", ""), "photos"), Ok(()));
}

#[test]
fn what_it_does_not() {
    let refused = |fields: Fields, bucket: &str| {
        assert!(matches!(checked(&fields, bucket), Err(Error::PolicyRefused(_))), "{fields:?}");
    };
    refused(form(), "others");
    refused(with("key", "user/user2/a.png"), "photos");
    refused(with("content-type", "text/html"), "photos");
    refused(with("x-amz-meta-other", "1"), "photos");
    refused(with("acl", "public-read"), "photos");
    let mut absent = form();
    absent.retain(|(name, _)| name != "x-amz-meta-tag");
    refused(absent, "photos");
    let mut doubled = form();
    doubled.push(("key".to_owned(), "elsewhere".to_owned()));
    refused(doubled, "photos");
    let fields = form();
    let policy = PostForm::read(&fields).expect("a form").policy;
    let late = at(TIME) + Duration::days(2);
    assert!(matches!(policy.check(&fields, "photos", late), Err(Error::PolicyRefused(_))));
}

#[test]
fn signatures_are_of_the_policy() {
    assert_eq!(checked(&with("x-amz-signature", &"0".repeat(64)), "photos"), Err(Error::Mismatch));
    let other = signer("s3").post(&POLICY.replace("user1", "user2"), at(TIME));
    let policy = &other.iter().find(|(name, _)| name == "policy").expect("the policy").1;
    assert_eq!(checked(&with("policy", policy), "photos"), Err(Error::Mismatch));
    for name in ["policy", "x-amz-credential", "x-amz-date", "x-amz-signature"] {
        let mut fields = form();
        fields.retain(|(n, _)| n != name);
        assert!(matches!(PostForm::read(&fields), Err(Error::Malformed(_))), "{name}");
    }
    assert!(matches!(PostForm::read(&with("x-amz-date", "20151230T000000Z")), Err(Error::Malformed(_))));
}

#[test]
fn what_is_no_policy() {
    use base64::Engine as _;
    let parse =
        |json: &str| Policy::parse(&base64::engine::general_purpose::STANDARD.encode(json)).map(|_| ());
    assert_eq!(parse(r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": []}"#), Ok(()));
    for json in [
        "",
        "[]",
        r#"{"conditions": []}"#,
        r#"{"expiration": "tomorrow", "conditions": []}"#,
        r#"{"expiration": "2015-12-30T12:00:00Z"}"#,
        r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": [{"a": "b", "c": "d"}]}"#,
        r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": [["eq", "key", "x"]]}"#,
        r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": [["like", "$key", "x"]]}"#,
        r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": [["content-length-range", -1, 5]]}"#,
        r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": [["eq", "$key"]]}"#,
    ] {
        assert!(matches!(parse(json), Err(Error::PolicyMalformed(_))), "{json}");
    }
    assert!(Policy::parse("***").is_err());
}
