//! What is refused, and why.

use crate::idp::{self, Claims, Idp};
use crate::{IDP, NOW, Scene};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use saml::Error;

fn refused(change: impl FnOnce(&mut Claims)) -> Error {
    Scene::with(change).outcome().unwrap_err()
}

#[test]
fn what_is_for_somebody_else() {
    let other = || "https://other.example.com".to_owned();
    assert_eq!(refused(|c| c.recipient = other()), Error::Destination(other()));
    assert_eq!(refused(|c| c.audience = other()), Error::Audience);
    assert_eq!(refused(|c| c.audience = String::new()), Error::Audience);
    let scene = Scene::new();
    let unrestricted = scene.idp.assertion(&scene.claims).replace("AudienceRestriction", "OneTimeUse");
    let response = scene.idp.response(&scene.claims, &scene.idp.signed(&unrestricted));
    assert_eq!(scene.accept(&response), Err(Error::Audience));
    // The response is addressed right, the assertion within is not.
    let mut claims = scene.claims.clone();
    claims.recipient = other();
    let response = scene.idp.response(&scene.claims, &scene.idp.signed(&scene.idp.assertion(&claims)));
    assert_eq!(scene.accept(&response), Err(Error::Destination(other())));
}

#[test]
fn what_is_not_valid_now() {
    let scene = Scene::new();
    let response = scene.idp.answer(&scene.claims);
    assert_eq!(scene.accept_of(&response, None, NOW - 200), Err(Error::TooEarly));
    assert_eq!(scene.accept_of(&response, None, NOW + 271), Err(Error::TooLate));
    assert_eq!(refused(|c| c.not_on_or_after = "2026-11-21T07:50:00Z".to_owned()), Error::TooLate);
    assert_eq!(refused(|c| c.not_before = "2026-11-21T08:10:00Z".to_owned()), Error::TooEarly);
    assert_eq!(refused(|c| c.session_end = Some("2026-11-21T07:50:00Z".to_owned())), Error::TooLate);
    assert_eq!(refused(|c| c.not_on_or_after = "soon".to_owned()), Error::Form("NotOnOrAfter"));
}

#[test]
fn what_answers_another_request_or_none() {
    let scene = Scene::with(|claims| claims.in_response_to = Some("id-1".to_owned()));
    let response = scene.idp.answer(&scene.claims);
    assert_eq!(scene.accept_of(&response, Some("id-2"), NOW), Err(Error::InResponseTo));
    assert_eq!(scene.accept_of(&response, None, NOW), Err(Error::InResponseTo));
    let unsolicited = Scene::new();
    let response = unsolicited.idp.answer(&unsolicited.claims);
    assert_eq!(unsolicited.accept_of(&response, Some("id-1"), NOW), Err(Error::InResponseTo));
    // The response, which nobody signed, says one thing and the assertion another.
    let plain = scene.idp.signed(&scene.idp.assertion(&unsolicited.claims));
    let mixed = scene.idp.response(&scene.claims, &plain);
    assert_eq!(scene.accept_of(&mixed, Some("id-1"), NOW), Err(Error::InResponseTo));
}

#[test]
fn what_nobody_signed() {
    let scene = Scene::new();
    let (idp, claims) = (&scene.idp, &scene.claims);
    let unsigned = idp.response(claims, &idp.assertion(claims));
    assert_eq!(scene.accept(&unsigned), Err(Error::Unsigned));
    let empty =
        idp::with_signature(&idp.assertion(claims), "<ds:Signature xmlns:ds=\"urn:other\"></ds:Signature>");
    assert_eq!(scene.accept(&idp.response(claims, &empty)), Err(Error::Unsigned));
    let hollow = "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"></ds:Signature>";
    let hollow = idp::with_signature(&idp.assertion(claims), hollow);
    assert_eq!(scene.accept(&idp.response(claims, &hollow)), Err(Error::Form("SignedInfo")));
}

#[test]
fn what_was_changed_after_signing() {
    let scene = Scene::new();
    let response = scene.idp.answer(&scene.claims);
    assert_eq!(scene.accept(&response.replace("ann@example.com", "bob@example.com")), Err(Error::Digest));
    assert_eq!(
        scene.accept(&response.replace("<ds:DigestValue>", "<ds:DigestValue>AAAA")),
        Err(Error::Digest)
    );
    let other =
        scene.idp.signed(&scene.idp.assertion(&Claims { name_id: "bob".into(), ..scene.claims.clone() }));
    let digest = |text: &str| text.split("DigestValue>").nth(1).unwrap().to_owned();
    // Another's digest under the first's signature.
    let forged = response.replace("ann@example.com", "bob").replace(&digest(&response), &digest(&other));
    assert_eq!(scene.accept(&forged), Err(Error::Signature));
    // A response that is signed stays so when what is not its assertion changes.
    let whole = scene.idp.signed(&scene.idp.response(&scene.claims, &scene.idp.assertion(&scene.claims)));
    assert_eq!(scene.accept(&whole.replace("r-a", "r-b").replace("#r-a", "#r-b")), Err(Error::Digest));
}

#[test]
fn what_another_key_signed() {
    let scene = Scene::new();
    let stranger = Idp::new(IDP);
    // It brings its own certificate along, which nobody looks at.
    assert_eq!(scene.accept(&stranger.answer(&scene.claims)), Err(Error::Signature));
    let elsewhere = Idp::new("https://evil.example.com");
    assert_eq!(scene.accept(&elsewhere.answer(&scene.claims)), Err(Error::Issuer(elsewhere.entity_id)));
}

#[test]
fn what_is_signed_with_the_public_key_as_a_secret() {
    let scene = Scene::new();
    let canonical = scene.idp.assertion(&scene.claims);
    let info = idp::signed_info(&canonical, &scene.claims.id);
    let weak = |algorithm: &str, value: &[u8]| {
        let info = info.replace("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", algorithm);
        let signature = idp::signature_element(&info, &STANDARD.encode(value), &scene.idp.certificate());
        scene.accept(&scene.idp.response(&scene.claims, &idp::with_signature(&canonical, &signature)))
    };
    let secret = STANDARD.decode(scene.idp.certificate()).unwrap();
    let algorithm = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
    let info = info.replace("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", algorithm);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = hmac::sign(&key, info.as_bytes());
    for algorithm in [
        algorithm,
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        "",
    ] {
        assert_eq!(weak(algorithm, tag.as_ref()), Err(Error::Algorithm(algorithm.to_owned())));
    }
    // The right algorithm for another kind of key.
    assert_eq!(
        weak("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", tag.as_ref()),
        Err(Error::Signature)
    );
}

#[test]
fn signatures_of_other_forms() {
    let scene = Scene::new();
    let response = scene.idp.answer(&scene.claims);
    let changed = |from: &str, to: &str| scene.accept(&response.replacen(from, to, 1)).unwrap_err();
    let id = format!("URI=\"#{}\"", scene.claims.id);
    assert!(matches!(changed(&id, "URI=\"\""), Error::SignatureForm(_)));
    assert!(matches!(changed(&id, "URI=\"#xpointer(/)\""), Error::SignatureForm(_)));
    assert!(matches!(changed("#enveloped-signature", "#base64"), Error::SignatureForm(_)));
    let xslt = "http://www.w3.org/TR/1999/REC-xslt-19991116";
    let last = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">";
    assert!(matches!(changed(last, &format!("<ds:Transform Algorithm=\"{xslt}\">")), Error::Algorithm(_)));
    assert!(matches!(
        changed("</ds:Transforms>", "<ds:Transform/></ds:Transforms>"),
        Error::SignatureForm(_)
    ));
    assert_eq!(changed("</ds:SignedInfo>", "<ds:Reference/></ds:SignedInfo>"), Error::Form("Reference"));
    assert!(matches!(changed("</ds:Signature>", "<ds:Object/></ds:Signature>"), Error::SignatureForm(_)));
    assert!(matches!(changed("xmlenc#sha256", "xmlenc#md5"), Error::Algorithm(_)));
}

#[test]
fn names_with_something_inside() {
    // Signed without comments, the name is the same with and without; what is read must not be half of it.
    let scene = Scene::with(|claims| claims.name_id = "admin@example.com.evil.example".to_owned());
    let response = scene.idp.answer(&scene.claims);
    for inside in ["<!---->", "<!-- x -->"] {
        let split = response.replace("admin@example.com.evil", &format!("admin@example.com{inside}.evil"));
        assert_eq!(scene.accept(&split), Err(Error::Form("NameID")));
    }
    let split = response.replace("admin@example.com.evil", "admin@example.com<?x?>.evil");
    assert_eq!(scene.accept(&split), Err(Error::Digest));
    let attribute = Scene::with(|c| c.attributes = vec![("mail".into(), vec!["a@x.dev.evil.dev".into()])]);
    let response = attribute.idp.answer(&attribute.claims).replace("a@x.dev.evil", "a@x.dev<!---->.evil");
    assert_eq!(attribute.accept(&response), Err(Error::Form("AttributeValue")));
}

#[test]
fn bombs_and_giants() {
    let scene = Scene::new();
    let response = scene.idp.answer(&scene.claims);
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    assert_eq!(scene.accept(&format!("{bomb}{response}")), Err(Error::Xml));
    let outside = "<!DOCTYPE r SYSTEM \"http://evil.example.com/x.dtd\">";
    assert_eq!(scene.accept(&format!("{outside}{response}")), Err(Error::Xml));
    let deep = format!("{}{}", "<x>".repeat(200_000), "</x>".repeat(100));
    assert_eq!(scene.accept(&deep), Err(Error::Xml));
    let wide = response.replace("<samlp:Status>", &format!("{}<samlp:Status>", "<x/>".repeat(100_000)));
    assert_eq!(scene.accept(&wide), Err(Error::Xml));
    assert_eq!(scene.accept(""), Err(Error::Xml));
    assert_eq!(scene.accept("<Response/>"), Err(Error::Form("Response")));
}

#[test]
fn what_the_provider_refused() {
    let scene = Scene::new();
    let response = scene.idp.answer(&scene.claims).replace("status:Success", "status:Responder");
    assert_eq!(scene.accept(&response), Err(Error::Status("Responder".to_owned())));
    let encrypted = scene
        .idp
        .response(&scene.claims, &format!("<saml:EncryptedAssertion xmlns:saml=\"{}\"/>", idp::ASSERTION));
    assert_eq!(scene.accept(&encrypted), Err(Error::Encrypted));
}
