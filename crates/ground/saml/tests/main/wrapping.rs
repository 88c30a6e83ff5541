//! Signature wrapping: the signed element stays in the document, somewhere, and another takes its place.

use crate::Scene;
use crate::idp::{self, Claims};
use saml::{Assertion, Error};

struct Attack {
    scene: Scene,
    /// The assertion that was signed, with its signature.
    signed: String,
    signature: String,
    evil: Claims,
}

impl Attack {
    fn new() -> Attack {
        let scene = Scene::new();
        let canonical = scene.idp.assertion(&scene.claims);
        let signature = scene.idp.signature(&canonical, &scene.claims.id);
        let evil = Claims { id: "evil".into(), name_id: "root@example.com".into(), ..scene.claims.clone() };
        Attack { signed: idp::with_signature(&canonical, &signature), signature, evil, scene }
    }

    fn original(&self) -> String {
        self.scene.idp.assertion(&self.scene.claims)
    }

    fn evil(&self) -> String {
        self.scene.idp.assertion(&self.evil)
    }

    fn send(&self, assertions: &str) -> Result<Assertion, Error> {
        self.scene.accept(&self.scene.idp.response(&self.scene.claims, assertions))
    }

    /// Neither is the evil one believed, nor with the id of the signed one.
    #[track_caller]
    fn fails(&self, document: impl Fn(&Attack) -> String) {
        for same_id in [false, true] {
            let mut attack = Attack { evil: self.evil.clone(), ..Attack::new() };
            if same_id {
                attack.evil.id.clone_from(&attack.scene.claims.id);
            }
            let outcome = attack.scene.accept(&document(&attack));
            assert!(outcome.is_err(), "{outcome:?}");
        }
    }
}

fn inside(element: &str, end: &str, more: &str) -> String {
    let at = element.rfind(end).unwrap();
    format!("{}{more}{}", &element[..at], &element[at..])
}

fn in_signature(signature: &str, more: &str) -> String {
    inside(signature, "</ds:Signature>", more)
}

fn response(attack: &Attack, assertions: &str) -> String {
    attack.scene.idp.response(&attack.scene.claims, assertions)
}

/// The signed response of the scene, its signature, and an evil one with another id.
fn whole(attack: &Attack) -> (String, String, String) {
    let idp = &attack.scene.idp;
    let original = response(attack, &attack.original());
    let signature = idp.signature(&original, &format!("r-{}", attack.scene.claims.id));
    let evil = idp.response(&attack.evil, &attack.evil());
    (original, signature, evil)
}

#[test]
fn the_signed_one_alone_is_accepted() {
    let attack = Attack::new();
    assert!(attack.send(&attack.signed).is_ok());
    let (original, signature, _) = whole(&attack);
    assert!(attack.scene.accept(&idp::with_signature(&original, &signature)).is_ok());
}

#[test]
fn xsw1_the_signed_response_inside_the_signature_of_another() {
    Attack::new().fails(|attack| {
        let (original, signature, evil) = whole(attack);
        idp::with_signature(&evil, &in_signature(&signature, &original))
    });
}

#[test]
fn xsw2_the_signed_response_beside_the_signature_of_another() {
    Attack::new().fails(|attack| {
        let (original, signature, evil) = whole(attack);
        idp::with_signature(&evil, &format!("{original}{signature}"))
    });
}

#[test]
fn xsw3_another_assertion_before_the_signed_one() {
    Attack::new().fails(|attack| response(attack, &format!("{}{}", attack.evil(), attack.signed)));
    Attack::new().fails(|attack| response(attack, &format!("{}{}", attack.signed, attack.evil())));
}

#[test]
fn xsw4_the_signed_assertion_inside_another() {
    Attack::new()
        .fails(|attack| response(attack, &inside(&attack.evil(), "</saml:Assertion>", &attack.signed)));
}

#[test]
fn xsw5_the_signature_in_another_with_the_signed_one_behind() {
    Attack::new().fails(|attack| {
        let evil = idp::with_signature(&attack.evil(), &attack.signature);
        response(attack, &format!("{evil}{}", attack.original()))
    });
}

#[test]
fn xsw6_the_signed_assertion_inside_the_signature_of_another() {
    Attack::new().fails(|attack| {
        let signature = in_signature(&attack.signature, &attack.original());
        response(attack, &idp::with_signature(&attack.evil(), &signature))
    });
}

#[test]
fn xsw7_another_assertion_in_an_extension() {
    let extension = |attack: &Attack| {
        let evil = attack.evil();
        let document = response(attack, &attack.signed);
        document.replacen(
            "<samlp:Status>",
            &format!("<samlp:Extensions>{evil}</samlp:Extensions><samlp:Status>"),
            1,
        )
    };
    // With an id of its own it lies there unread.
    let attack = Attack::new();
    let outcome = attack.scene.accept(&extension(&attack)).unwrap();
    assert_eq!(outcome.user_id().as_deref(), Some("ann@example.com"));
    let mut same = Attack::new();
    same.evil.id.clone_from(&same.scene.claims.id);
    assert_eq!(same.scene.accept(&extension(&same)), Err(Error::DuplicateId));
}

#[test]
fn xsw8_the_signed_assertion_as_an_object_of_the_signature() {
    Attack::new().fails(|attack| {
        let object = format!("<ds:Object>{}</ds:Object>", attack.original());
        let signature = in_signature(&attack.signature, &object);
        response(attack, &idp::with_signature(&attack.evil(), &signature))
    });
}

#[test]
fn the_signature_of_one_does_not_cover_the_other() {
    // The assertion is signed, and its signature stands in the response.
    Attack::new().fails(|attack| idp::with_signature(&response(attack, &attack.evil()), &attack.signature));
    // A signed assertion is in the document, but the one that is read is encrypted or of another namespace.
    Attack::new().fails(|attack| {
        let renamed = attack.evil().replace("saml:Assertion", "saml:assertion");
        response(attack, &format!("{renamed}<x>{}</x>", attack.signed))
    });
}
