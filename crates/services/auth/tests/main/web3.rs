//! Sign-in by wallets, with real signatures.

use crate::world::{World, text};
use auth::Settings;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use k256::ecdsa::SigningKey;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;
use sha3::{Digest, Keccak256};

struct Wallet(SigningKey);

impl Wallet {
    fn new(seed: u8) -> Wallet {
        Wallet(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    fn address(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        format!("0x{}", hex::encode(&Keccak256::digest(&point.as_bytes()[1..])[12..]))
    }

    fn sign(&self, message: &str) -> String {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let hash = Keccak256::digest(prefixed.as_bytes());
        let (signature, id) = self.0.sign_prehash_recoverable(&hash).unwrap();
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + id.to_byte())
    }
}

async fn world() -> World {
    World::with(enable).await
}

fn enable(settings: &mut Settings) {
    settings.web3.ethereum.enabled = true;
    settings.web3.solana.enabled = true;
    settings.site_url = "https://app.example.com".to_owned();
}

fn ethereum(world: &World, address: &str) -> String {
    format!(
        "app.example.com wants you to sign in with your Ethereum account:\n{address}\n\nHello.\n\n\
         URI: https://app.example.com/login\nVersion: 1\nChain ID: 1\nNonce: n1\nIssued At: {}",
        world.time(0)
    )
}

fn solana(world: &World, address: &str) -> String {
    ethereum(world, address).replace("Ethereum", "Solana").replace("Chain ID: 1", "Chain ID: solana:mainnet")
}

async fn sign_in(world: &World, chain: &str, message: &str, signature: &str) -> crate::world::Answer {
    let body = json!({ "chain": chain, "message": message, "signature": signature });
    world.post("/token?grant_type=web3", body).await
}

/// Signs in with a changed message, rightly signed, and returns what is said.
async fn said(world: &World, change: impl Fn(String) -> String) -> (u16, String) {
    let wallet = Wallet::new(7);
    let message = change(ethereum(world, &wallet.address()));
    let answer = sign_in(world, "ethereum", &message, &wallet.sign(&message)).await;
    let said = answer.body["error_description"].as_str().or(answer.body["msg"].as_str());
    (answer.status, said.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_wallet_of_ethereum_signs_in_and_is_known_again() {
    let world = world().await;
    let wallet = Wallet::new(7);
    let message = ethereum(&world, &wallet.address());
    let session = sign_in(&world, "ethereum", &message, &wallet.sign(&message)).await.ok();
    let user = &session["user"];
    assert_eq!(user["email"], json!(""));
    assert_eq!(user["app_metadata"], json!({ "provider": "web3", "providers": ["web3"] }));
    let address = wallet.address();
    assert_eq!(user["identities"][0]["id"], json!(format!("web3:ethereum:{address}")));
    assert_eq!(
        user["identities"][0]["identity_data"],
        json!({
            "sub": format!("web3:ethereum:{address}"), "email_verified": false, "phone_verified": false,
            "custom_claims": {
                "address": address, "chain": "ethereum", "network": "1", "domain": "app.example.com",
                "statement": "Hello.",
            },
        })
    );
    let claims = world.claims(text(&session, "/access_token"));
    assert_eq!(claims["amr"][0]["method"], json!("web3"));
    assert!(world.sql("select count(*) from auth.audit_log_entries where payload -> 'traits' ->> 'address' is not null").await == "1");
    // The same address with the case of its checksum is the same account.
    world.advance(1);
    let checked =
        format!("0x{}", wallet::spellings(wallet::Chain::Ethereum, &address)[1].trim_start_matches("0x"));
    assert_ne!(checked, address);
    let message = ethereum(&world, &checked);
    let again = sign_in(&world, "ethereum", &message, &wallet.sign(&message)).await.ok();
    assert_eq!(again["user"]["id"], user["id"]);
    assert_eq!(again["user"]["identities"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_wallet_of_solana_signs_in_with_either_alphabet() {
    let world = world().await;
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let address = bs58::encode(pair.public_key()).into_string();
    let message = solana(&world, &address);
    let signature = pair.sign(message.as_bytes());
    let session = sign_in(&world, "solana", &message, &STANDARD.encode(signature.as_ref())).await.ok();
    assert_eq!(session["user"]["identities"][0]["id"], json!(format!("web3:solana:{address}")));
    world.advance(1);
    let message = solana(&world, &address);
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()).as_ref());
    let again = sign_in(&world, "solana", &message, &signature).await.ok();
    assert_eq!(again["user"]["id"], session["user"]["id"]);
}

#[tokio::test]
async fn a_message_is_good_once_whatever_its_signature_looks_like() {
    let world = world().await;
    let wallet = Wallet::new(7);
    let message = ethereum(&world, &wallet.address());
    let signature = wallet.sign(&message);
    sign_in(&world, "ethereum", &message, &signature).await.ok();
    let raw = format!("{}{}", &signature[..130], if signature.ends_with("1b") { "00" } else { "01" });
    for signature in [signature.clone(), signature.to_uppercase().replace("0X", "0x"), raw] {
        let answer = sign_in(&world, "ethereum", &message, &signature).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.body["error"], json!("invalid_grant"));
    }
    // Of two at the same time one wins.
    world.advance(1);
    let message = ethereum(&world, &wallet.address());
    let signature = wallet.sign(&message);
    let (one, two) = tokio::join!(
        sign_in(&world, "ethereum", &message, &signature),
        sign_in(&world, "ethereum", &message, &signature)
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn a_message_for_another_site_is_refused() {
    let world = world().await;
    let to = |from: &'static str, to: &'static str| move |message: String| message.replace(from, to);
    let other = "Signed Ethereum message is using a Domain that does not match the one in URI which is not allowed on this server";
    assert_eq!(
        said(&world, to("app.example.com wants", "evil.example wants")).await,
        (400, other.to_owned())
    );
    let uri = "Signed Ethereum message is using URI which is not allowed on this server, message was signed for another app";
    assert_eq!(said(&world, to("app.example.com", "evil.example")).await, (400, uri.to_owned()));
    let plain = "Signed Ethereum message is using URI which does not use HTTPS";
    assert_eq!(said(&world, to("https://app", "http://app")).await, (400, plain.to_owned()));
    assert_eq!(said(&world, to("https://app.example.com/", "/")).await, (400, plain.to_owned()));
}

#[tokio::test]
async fn a_message_has_its_time() {
    let world = world().await;
    let issued = |seconds: i64| {
        let (from, to) = (world.time(0), world.time(seconds));
        move |message: String| message.replace(&from, &to)
    };
    let with = |field: &'static str, seconds: i64| {
        let line = format!("\n{field}: {}", world.time(seconds));
        move |message: String| format!("{message}{line}")
    };
    let old = "Ethereum message was issued too long ago".to_owned();
    assert_eq!(said(&world, issued(-601)).await, (400, old));
    let early = "Ethereum message was issued too far in the future".to_owned();
    assert_eq!(said(&world, issued(601)).await, (400, early));
    let over = "Signed Ethereum message is expired".to_owned();
    let expired = |message: String| issued(-60)(with("Expiration Time", -30)(message));
    assert_eq!(said(&world, expired).await, (400, over));
    let soon = "Signed Ethereum message becomes valid in the future".to_owned();
    assert_eq!(said(&world, with("Not Before", 60)).await, (400, soon));
    assert_eq!(said(&world, issued(-590)).await.0, 200);
}

#[tokio::test]
async fn signatures_of_others_prove_nothing() {
    let world = world().await;
    let (ann, bob) = (Wallet::new(7), Wallet::new(8));
    let message = ethereum(&world, &ann.address());
    let refused = |answer: crate::world::Answer| {
        (answer.status, answer.body["error_description"].as_str().unwrap_or_default().to_owned())
    };
    let none = (400, "Signature does not match address in message".to_owned());
    assert_eq!(refused(sign_in(&world, "ethereum", &message, &bob.sign(&message)).await), none);
    assert_eq!(refused(sign_in(&world, "ethereum", &message, &format!("0x{}", "zz".repeat(65))).await), none);
    let changed = message.replace("Hello.", "Hullo.");
    assert_eq!(refused(sign_in(&world, "ethereum", &changed, &ann.sign(&message)).await), none);
    // The twin of a signature, which anybody can make of it.
    let good = ann.sign(&message);
    let bytes = hex::decode(&good[2..]).unwrap();
    let parsed = k256::ecdsa::Signature::from_slice(&bytes[..64]).unwrap();
    let twin =
        k256::ecdsa::Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes()).unwrap();
    let twin = format!("0x{}{:02x}", hex::encode(twin.to_bytes()), if bytes[64] == 27 { 28 } else { 27 });
    assert_eq!(refused(sign_in(&world, "ethereum", &message, &twin).await), none);
    assert_eq!(world.sql("select count(*) from auth.users").await, "0");
}

#[tokio::test]
async fn requests_that_are_no_messages() {
    let world = world().await;
    let call = async |chain: &str, message: &str, signature: &str| -> (u16, String, String) {
        let answer = sign_in(&world, chain, message, signature).await;
        let text = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
        (answer.status, text("error_code"), text("msg"))
    };
    let invalid = |message: &str| (400, "validation_failed".to_owned(), message.to_owned());
    let long = "x".repeat(64);
    let signature = "0".repeat(130);
    assert_eq!(call("ethereum", "short", &signature).await, invalid("message is too short"));
    let huge = "x".repeat(20 * 1024 + 1);
    assert_eq!(call("solana", &huge, &signature).await, invalid("message must not exceed 20KB"));
    assert_eq!(
        call("ethereum", &long, "0x00").await,
        invalid("signature must be 65 bytes long, encoded as a 130 character-long hexadecimal string")
    );
    assert_eq!(
        call("solana", &long, "AA").await,
        invalid("signature must be 64 bytes encoded as base64 with or without padding")
    );
    assert_eq!(call("ethereum", &long, &signature).await, invalid("siwe: message needs at least 6 lines"));
    let chain = call("bitcoin", &long, &signature).await;
    assert_eq!((chain.0, chain.1.as_str()), (400, "web3_unsupported_chain"));
}

#[tokio::test]
async fn wallets_are_off_unless_switched_on() {
    let off = World::new().await;
    let answer = sign_in(&off, "ethereum", "", "").await;
    assert_eq!(answer.refusal(), (422, "web3_provider_disabled"));
    let half = World::with(|settings| settings.web3.solana.enabled = true).await;
    let answer = sign_in(&half, "ethereum", "", "").await;
    assert_eq!(answer.body["msg"], json!("Ethereum Web3 provider is disabled"));
    let closed = World::with(|settings| {
        enable(settings);
        settings.disable_signup = true;
    })
    .await;
    let wallet = Wallet::new(7);
    let message = ethereum(&closed, &wallet.address());
    let answer = sign_in(&closed, "ethereum", &message, &wallet.sign(&message)).await;
    assert_eq!(answer.refusal(), (422, "signup_disabled"));
    // What was refused may be tried again.
    assert_eq!(closed.sql("select count(*) from rowhouse.spent_proofs").await, "0");
}

#[tokio::test]
async fn wallets_have_a_limit_of_their_own() {
    let world = World::with(|settings| {
        enable(settings);
        settings.rate_limits.header = Some("x-client".to_owned());
    })
    .await;
    let call = async |path: &str| -> u16 {
        let request =
            http::Request::post(path).header("x-client", "one").header("content-type", "application/json");
        world.send(request.body(axum::body::Body::from("{}")).unwrap()).await.status
    };
    for _ in 0..30 {
        assert_eq!(call("/token?grant_type=web3").await, 400);
    }
    assert_eq!(call("/token?grant_type=web3").await, 429);
    assert_eq!(call("/token?grant_type=password").await, 400);
}
