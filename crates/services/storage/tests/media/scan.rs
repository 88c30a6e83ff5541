//! Files that a scanner looks at before they become readable.

use crate::place::{Place, place_with, role, service};
use crate::scanners::{self, EVIL, Seen, Temper};
use model::Secret;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::scan::{Manner, Place as At};
use storage::{Machinery, ScanSettings, Scanner};

const LARGE: usize = 300 * 1024;

async fn scanned(at: At, manner: Manner) -> Place {
    scanned_with(at, manner, ScanSettings::default()).await
}

/// The same of a project with a word of its own.
async fn scanned_with(at: At, manner: Manner, scans: ScanSettings) -> Place {
    let http = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
    let with_scanner = |machinery: Machinery| machinery.with_scanner(Scanner::new(at, manner, http));
    place_with(with_scanner, |settings| settings.scans = scans).await
}

/// All ways to a scanner, each with its own.
async fn all_ways(temper: Temper) -> Vec<(At, Arc<Seen>)> {
    let (path, by_path) = scanners::clamd_socket(temper);
    let (address, by_address) = scanners::clamd_address(temper).await;
    let (url, by_web) = scanners::web(temper).await;
    let web = At::Web { url: url.parse().unwrap(), token: Some(Secret::new("scan")) };
    vec![(At::ClamdSocket(path), by_path), (At::ClamdAddress(address), by_address), (web, by_web)]
}

/// A file of some length with the word in its middle, across where pieces end.
fn evil(length: usize) -> Vec<u8> {
    let mut file = vec![b'.'; length];
    file[length / 2..length / 2 + EVIL.len()].copy_from_slice(EVIL.as_bytes());
    file
}

#[tokio::test]
async fn clean_files_are_taken_and_infected_ones_are_not() {
    for (at, seen) in all_ways(Temper::Honest).await {
        let place = scanned(at.clone(), Manner::default()).await;
        for length in [10, LARGE] {
            place.upload("closed/f", "text/plain", vec![b'.'; length]).await;
            assert_eq!(seen.last.load(Ordering::SeqCst), length, "{at:?}");
            let refused = place.upload_as(&service(), "closed/f", "text/plain", evil(length)).await;
            let message = "The file was refused by the malware scanner";
            assert_eq!(
                refused.refusal(),
                (422, "422".into(), "FileInfected".into(), message.into()),
                "{at:?}"
            );
            let kept = place.get_as("/object/authenticated/closed/f", &service()).await;
            assert_eq!((kept.status, kept.bytes.len()), (200, length), "what was there is still there");
            assert_eq!(place.bodies().await, 1, "nothing else is stored");
        }
        let refused = place.upload_as(&service(), "closed/new", "text/plain", evil(LARGE)).await;
        assert_eq!(refused.status, 422);
        assert_eq!(
            place.get_as("/object/authenticated/closed/new", &service()).await.refusal().2,
            "NoSuchKey"
        );
    }
}

#[tokio::test]
async fn a_form_and_a_signed_upload_are_scanned_too() {
    let (path, seen) = scanners::clamd_socket(Temper::Honest);
    let place = scanned(At::ClamdSocket(path), Manner::default()).await;
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"\"; filename=\"f\"\r\nContent-Type: text/plain\r\n\r\n{EVIL}\r\n--b--\r\n"
    );
    let mime = "multipart/form-data; boundary=b";
    assert_eq!(place.upload_as(&service(), "closed/form", mime, form).await.status, 422);
    let signed = place.post("/object/upload/sign/closed/signed", &json!({})).await.json();
    let url = signed["url"].as_str().unwrap();
    let put = place.send(http::Method::PUT, url, &[("content-type", "text/plain")], EVIL).await;
    assert_eq!(put.status, 422, "{put:?}");
    assert_eq!((seen.files(), place.bodies().await), (2, 0));
    place.upload("closed/empty", "text/plain", "").await;
    place.upload("closed/f", "text/plain", "fine").await;
    let copy = json!({ "bucketId": "closed", "sourceKey": "f", "destinationKey": "g" });
    assert_eq!(place.post("/object/copy", &copy).await.status, 200);
    assert_eq!(seen.files(), 3, "neither the empty file nor the copy");
}

#[tokio::test]
async fn a_scanner_that_fails_fails_the_upload() {
    let manner = Manner { time_limit: Duration::from_secs(20), ..Manner::default() };
    let message = "The file could not be checked by the malware scanner, try again later";
    let expected = (503, "503".to_owned(), "ScannerUnavailable".to_owned(), message.to_owned());
    let mut ways = all_ways(Temper::Confused).await;
    ways.push((At::ClamdSocket(scanners::clamd_socket(Temper::Rude).0), Arc::default()));
    ways.push((At::ClamdSocket(scanners::clamd_socket(Temper::Limited(1000)).0), Arc::default()));
    ways.push((At::ClamdSocket("/nonexistent/clamd".into()), Arc::default()));
    let (url, _) = scanners::web(Temper::Honest).await;
    ways.push((At::Web { url: url.parse().unwrap(), token: None }, Arc::default()));
    for (at, _) in ways {
        let place = scanned(at.clone(), manner).await;
        let refused = place.upload_as(&service(), "closed/f", "text/plain", vec![b'.'; LARGE]).await;
        assert_eq!(refused.refusal(), expected, "{at:?}");
        assert_eq!(place.bodies().await, 0, "{at:?}");
        let lenient = scanned(at.clone(), Manner { takes_unscanned: true, ..manner }).await;
        lenient.upload("closed/f", "text/plain", vec![b'.'; LARGE]).await;
    }
}

#[tokio::test]
async fn nobody_waits_for_a_silent_scanner_longer_than_the_limit() {
    let (path, seen) = scanners::clamd_socket(Temper::Silent);
    let manner = Manner { time_limit: Duration::from_millis(300), ..Manner::default() };
    let place = scanned(At::ClamdSocket(path), manner).await;
    let refused = place.upload_as(&service(), "closed/f", "text/plain", "x").await;
    assert_eq!((refused.status, refused.refusal().2.as_str()), (503, "ScannerUnavailable"));
    assert_eq!((place.bodies().await, seen.files() <= 1), (0, true));
}

#[tokio::test]
async fn a_scanner_that_is_kept_busy_lets_nothing_pass() {
    let (path, _) = scanners::clamd_socket(Temper::Silent);
    let manner = Manner {
        time_limit: Duration::from_secs(600),
        wait_limit: Duration::from_millis(100),
        at_once: 1,
        takes_unscanned: true,
    };
    let place = Arc::new(scanned(At::ClamdSocket(path), manner).await);
    let upload = |name: &'static str| {
        let place = Arc::clone(&place);
        async move { place.upload_as(&service(), name, "text/plain", "x").await }
    };
    let uploads = [tokio::spawn(upload("closed/a")), tokio::spawn(upload("closed/b"))];
    // One has the scanner, which says nothing; the other may not go past it.
    let (refused, _, others) = futures_util::future::select_all(uploads).await;
    let refused = refused.unwrap();
    assert_eq!((refused.status, refused.refusal().2.as_str()), (503, "ScannerUnavailable"));
    others.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn nobody_has_files_scanned_that_they_may_not_store() {
    let (path, seen) = scanners::clamd_socket(Temper::Honest);
    let place = scanned(At::ClamdSocket(path), Manner::default()).await;
    for length in [10, LARGE] {
        let refused = place.upload_as(&role("anon"), "closed/f", "text/plain", evil(length)).await;
        assert_eq!(refused.refusal().2, "AccessDenied");
    }
    assert_eq!((seen.files(), place.bodies().await), (0, 0));
}

#[tokio::test]
async fn a_project_decides_whether_its_files_are_scanned() {
    let (url, seen) = scanners::web(Temper::Honest).await;
    let at = At::Web { url: url.parse().unwrap(), token: Some(Secret::new("scan")) };
    let off = ScanSettings { enabled: Some(false), ..ScanSettings::default() };
    let place = scanned_with(at, Manner::default(), off).await;
    place.upload("closed/f", "text/plain", evil(100)).await;
    assert_eq!(seen.last.load(Ordering::SeqCst), 0, "nobody has looked");
}

#[tokio::test]
async fn a_project_decides_whether_files_are_taken_that_nobody_looked_at() {
    let nobody = || At::ClamdAddress("127.0.0.1:1".to_owned());
    let strict = ScanSettings { takes_unscanned: Some(false), ..ScanSettings::default() };
    let lenient = ScanSettings { takes_unscanned: Some(true), ..ScanSettings::default() };
    let careless = Manner { takes_unscanned: true, ..Manner::default() };
    for (manner, scans, status) in [
        (Manner::default(), ScanSettings::default(), 503),
        (Manner::default(), lenient, 200),
        (careless, ScanSettings::default(), 200),
        (careless, strict, 503),
    ] {
        let place = scanned_with(nobody(), manner, scans).await;
        let answer = place.upload_as(&service(), "closed/f", "text/plain", "text").await;
        assert_eq!(answer.status, status, "{manner:?} {scans:?}");
    }
}

#[tokio::test]
async fn a_project_that_wants_a_scanner_takes_nothing_without() {
    let wants = ScanSettings { enabled: Some(true), ..ScanSettings::default() };
    let lenient = ScanSettings { takes_unscanned: Some(true), ..wants };
    for (scans, status) in [(wants, 503), (lenient, 200), (ScanSettings::default(), 200)] {
        let place = place_with(|machinery| machinery, |settings| settings.scans = scans).await;
        let answer = place.upload_as(&service(), "closed/f", "text/plain", "text").await;
        assert_eq!(answer.status, status, "{scans:?}");
    }
}
