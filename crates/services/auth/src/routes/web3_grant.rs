//! `POST /token?grant_type=web3`: whoever holds the key of a wallet.

use crate::Auth;
use crate::call::Call;
use crate::external::{self, Arrival, Besides, Ended, Ending, Profile, Purpose, Spent};
use crate::flow::redirect;
use crate::guard::audience;
use crate::moment::Moment;
use crate::refusal::{Outcome, Refusal, database, internal, invalid, oauth, refuse};
use crate::settings::{Settings, WalletSettings};
use crate::store::{identities, proofs};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use wallet::{Chain, Message, Signature, SignatureError};

const PROVIDER: &str = "web3";
const MESSAGE_BYTES_MIN: usize = 64;
const MESSAGE_BYTES_MAX: usize = 20 * 1024;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    chain: Option<String>,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let wallets = &auth.settings.web3;
    let disabled = |what: &str| refuse(422, "web3_provider_disabled", format!("{what} is disabled"));
    if !wallets.solana.enabled && !wallets.ethereum.enabled {
        return Err(disabled("Web3 provider"));
    }
    let params: Params = call.json()?;
    let (chain, wallet) = match params.chain.as_deref() {
        Some("solana") => (Chain::Solana, &wallets.solana),
        Some("ethereum") => (Chain::Ethereum, &wallets.ethereum),
        _ => return Err(refuse(400, "web3_unsupported_chain", "Unsupported chain")),
    };
    if !wallet.enabled {
        return Err(disabled(&format!("{} Web3 provider", chain.title())));
    }
    let text = params.message.unwrap_or_default();
    let message = read(chain, &text, &params.signature.unwrap_or_default())?;
    check_site(&auth.settings, &message)?;
    check_times(wallet, &message, call.now)?;
    let arrival = Arrival {
        provider: PROVIDER.to_owned(),
        profile: profile(&message, &subject(auth, &message).await?),
        email_optional: true,
        audience: audience(&auth.settings, call, None),
    };
    let besides = Besides {
        spent: Some(spent(wallet, &message)),
        traits: Some(json!({
            "provider": PROVIDER, "chain": chain.as_str(), "network": message.chain_id,
            "address": message.address, "domain": message.domain, "uri": message.uri,
        })),
        session_end: None,
    };
    let ending = Ending::Session { method: PROVIDER, flow: None };
    match external::run_with(auth, call, &arrival, &Purpose::SignIn, &ending, &besides).await? {
        Ended::Session(grant) => Ok(grant.respond()),
        Ended::Code(_) => Err(internal("Internal Server Error", "a wallet's flow ended with a code")),
    }
}

/// The message, if the account that it names signed it.
fn read(chain: Chain, text: &str, signature: &str) -> Outcome<Message> {
    if text.len() < MESSAGE_BYTES_MIN {
        return Err(invalid("message is too short"));
    }
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(invalid("message must not exceed 20KB"));
    }
    let signature = match Signature::read(chain, signature) {
        Ok(signature) => Some(signature),
        // Right in form, but nobody's: said after the message has been looked at.
        Err(SignatureError::EthereumHex) => None,
        Err(error) => return Err(invalid(error.to_string())),
    };
    let message = Message::parse(chain, text).map_err(|error| invalid(error.to_string()))?;
    match signature.filter(|signature| message.is_signed_by(signature)) {
        Some(_) => Ok(message),
        None => Err(oauth("invalid_grant", "Signature does not match address in message")),
    }
}

/// The message was signed for this very site.
fn check_site(settings: &Settings, message: &Message) -> Outcome<()> {
    let refused = |why: &str| {
        let message = format!("Signed {} message is using {why}", message.chain.title());
        Err(oauth("invalid_grant", message))
    };
    let parts = redirect::Parts::read(&message.uri);
    let is_local = parts.as_ref().is_some_and(|parts| parts.host == "localhost");
    let is_secure = parts.as_ref().is_some_and(|parts| parts.scheme == "https");
    let is_plain = parts.as_ref().is_some_and(|parts| parts.scheme == "http");
    let is_usable = is_secure || is_local && is_plain;
    if !is_usable {
        return refused("URI which does not use HTTPS");
    }
    if !redirect::is_allowed(settings, &message.uri) {
        return refused("URI which is not allowed on this server, message was signed for another app");
    }
    // Wallets compare the domain, not the URI, with the page that asks.
    let same_site = parts.is_some_and(|parts| parts.authority() == message.domain);
    let is_listed = is_local || redirect::is_allowed(settings, &format!("https://{}/", message.domain));
    if !(same_site && is_listed) {
        return refused("a Domain that does not match the one in URI which is not allowed on this server");
    }
    Ok(())
}

fn check_times(wallet: &WalletSettings, message: &Message, now: Moment) -> Outcome<()> {
    let chain = message.chain.title();
    let refused = |why: String| Err(oauth("invalid_grant", why));
    if message.not_before.is_some_and(|start| now < Moment::from_time(start)) {
        return refused(format!("Signed {chain} message becomes valid in the future"));
    }
    // The reference looks at the end of Ethereum's messages only when they have a beginning too.
    if message.expiration_time.is_some_and(|end| now > Moment::from_time(end)) {
        return refused(format!("Signed {chain} message is expired"));
    }
    let issued = Moment::from_time(message.issued_at);
    if now > issued.plus(wallet.maximum_validity) {
        return refused(format!("{chain} message was issued too long ago"));
    }
    if now < issued.minus(wallet.maximum_validity) {
        return refused(format!("{chain} message was issued too far in the future"));
    }
    Ok(())
}

/// The name of the account: as it is known already, or as it is written here. Addresses of Ethereum are the same
/// in any case of their digits.
async fn subject(auth: &Auth, message: &Message) -> Outcome<String> {
    let chain = message.chain;
    let name = |address: &String| format!("{PROVIDER}:{}:{address}", chain.as_str());
    let mut names: Vec<String> = wallet::spellings(chain, &message.address).iter().map(name).collect();
    if names.len() > 1 {
        let rows = auth.db.one(identities::known(PROVIDER, &names)).await;
        let rows = rows.map_err(database("Database error finding identity"))?;
        if let Some(known) = rows.first().and_then(|row| row.text(0)) {
            return Ok(known.to_owned());
        }
    }
    Ok(names.swap_remove(0))
}

fn profile(message: &Message, subject: &str) -> Profile {
    let statement = match (message.chain, &message.statement) {
        (_, Some(statement)) => json!(statement),
        (Chain::Solana, None) => json!(""),
        (Chain::Ethereum, None) => Value::Null,
    };
    Profile::default()
        .text("sub", subject)
        .claim("address", json!(message.address))
        .claim("chain", json!(message.chain.as_str()))
        .claim("network", json!(message.chain_id))
        .claim("domain", json!(message.domain))
        .claim("statement", statement)
}

/// A message signs somebody in once, whatever its signature looks like.
fn spent(wallet: &WalletSettings, message: &Message) -> Spent {
    const MARGIN: Duration = Duration::from_secs(60);
    let until = Moment::from_time(message.issued_at).plus(wallet.maximum_validity).plus(MARGIN);
    let proof = format!("{}\0{}", message.chain.as_str(), message.raw());
    Spent { step: proofs::spend(PROVIDER, proof.as_bytes(), until, None), refusal: used }
}

fn used() -> Refusal {
    oauth("invalid_grant", "Signed message has already been used")
}
