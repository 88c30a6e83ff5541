//! What is accepted, and what is read from it.

use crate::idp::Claims;
use crate::{NOW, Scene, at};
use saml::name_id;

#[test]
fn a_signed_assertion_says_who_it_is() {
    let scene = Scene::with(|claims| {
        claims.session_end = Some("2026-11-21T18:00:00Z".to_owned());
        claims.attributes = vec![
            ("mail".to_owned(), vec!["ann@work.example".to_owned()]),
            ("groups".to_owned(), vec!["a &amp; b".to_owned(), "c".to_owned()]),
        ];
    });
    let assertion = scene.outcome().unwrap();
    assert_eq!(assertion.id, scene.claims.id);
    assert_eq!(assertion.user_id().as_deref(), Some("ann@example.com"));
    assert_eq!(assertion.email(), Some("ann@work.example"));
    assert_eq!(assertion.values("GROUPS").collect::<Vec<_>>(), ["a & b", "c"]);
    assert_eq!(assertion.session_not_on_or_after, Some(at(NOW + 10 * 3600)));
    // Accepted until its conditions end, the clocks being apart as far as they may.
    assert_eq!(assertion.spent_until, at(NOW + 90 + 180));
}

#[test]
fn a_signed_response_covers_its_assertion() {
    let scene = Scene::new();
    let (idp, claims) = (&scene.idp, &scene.claims);
    let response = idp.signed(&idp.response(claims, &idp.assertion(claims)));
    assert_eq!(scene.accept(&response).unwrap().user_id().as_deref(), Some("ann@example.com"));
    // Both signed, as many do.
    let response = idp.signed(&idp.response(claims, &idp.signed(&idp.assertion(claims))));
    assert!(scene.accept(&response).is_ok());
}

#[test]
fn an_answer_is_to_its_request() {
    let scene = Scene::with(|claims| claims.in_response_to = Some("id-1".to_owned()));
    let response = scene.idp.answer(&scene.claims);
    assert!(scene.accept_of(&response, Some("id-1"), NOW).is_ok());
}

#[test]
fn clocks_may_be_three_minutes_apart() {
    let scene = Scene::new();
    let response = scene.idp.answer(&scene.claims);
    for now in [NOW - 170, NOW + 260] {
        assert!(scene.accept_of(&response, None, now).is_ok(), "{now}");
    }
}

#[test]
fn people_are_known_by_what_stays() {
    let id = |change: fn(&mut Claims)| Scene::with(change).outcome().unwrap().user_id();
    assert_eq!(id(|c| c.name_id = " Ann@Example.com ".to_owned()).as_deref(), Some("ann@example.com"));
    assert_eq!(
        id(|c| {
            c.name_id = "AbC".to_owned();
            c.name_id_format = name_id::PERSISTENT.to_owned();
        })
        .as_deref(),
        Some("AbC")
    );
    assert_eq!(id(|c| c.name_id_format = name_id::TRANSIENT.to_owned()), None);
    assert_eq!(
        id(|c| {
            c.name_id_format = name_id::TRANSIENT.to_owned();
            let name = "urn:oasis:names:tc:SAML:attribute:subject-id".to_owned();
            c.attributes = vec![(name, vec!["u1@example.com".to_owned()])];
        })
        .as_deref(),
        Some("u1@example.com")
    );
}

#[test]
fn white_space_around_the_elements_changes_nothing_that_is_signed() {
    let scene = Scene::new();
    let response = scene.idp.answer(&scene.claims);
    let spaced = response
        .replace("<samlp:Status>", "\n  <samlp:Status>\n")
        .replace("</samlp:Response>", "\r\n</samlp:Response>\n");
    assert!(
        scene.accept(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- hello -->{spaced}")).is_ok()
    );
}
