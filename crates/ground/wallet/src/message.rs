//! The text of a sign-in message. Both chains have the same form.

use crate::error::{Error, Fault};
use crate::{Chain, Signature, ethereum, solana};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest text that is looked at, in bytes.
const BYTES_MAX: usize = 20 * 1024;
/// Times of this or nothing are the same to the reference.
const ZERO: OffsetDateTime = time::macros::datetime!(0001-01-01 00:00:00 UTC);

/// A message as it was read, not yet known to be anybody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub chain: Chain,
    /// The site that asks, with its port if it has one.
    pub domain: String,
    /// The account, as it is written.
    pub address: String,
    pub statement: Option<String>,
    /// The page that asks.
    pub uri: String,
    /// The network; empty when it is not named.
    pub chain_id: String,
    pub nonce: String,
    pub issued_at: OffsetDateTime,
    pub expiration_time: Option<OffsetDateTime>,
    pub not_before: Option<OffsetDateTime>,
    raw: String,
}

/// The fields below the statement.
#[derive(Default)]
struct Fields {
    uri: Option<String>,
    version: String,
    chain_id: String,
    nonce: String,
    issued_at: Option<OffsetDateTime>,
    expiration_time: Option<OffsetDateTime>,
    not_before: Option<OffsetDateTime>,
}

impl Message {
    /// Reads a message.
    pub fn parse(chain: Chain, raw: &str) -> Result<Message, Error> {
        read(chain, raw).map_err(|fault| Error { chain, fault })
    }

    /// Whether the account of the message made this signature of it.
    pub fn is_signed_by(&self, signature: &Signature) -> bool {
        match self.chain {
            Chain::Ethereum => ethereum::is_signed(&self.raw, &self.address, &signature.0),
            Chain::Solana => solana::is_signed(&self.raw, &self.domain, &self.address, &signature.0),
        }
    }

    /// The text.
    pub fn raw(&self) -> &str {
        &self.raw
    }
}

fn read(chain: Chain, raw: &str) -> Result<Message, Fault> {
    let lines: Vec<&str> = raw.split('\n').collect();
    if lines.len() < 6 || raw.len() > BYTES_MAX {
        return Err(Fault::TooShort);
    }
    let suffix = match chain {
        Chain::Ethereum => " wants you to sign in with your Ethereum account:",
        Chain::Solana => " wants you to sign in with your Solana account:",
    };
    let domain = lines[0].strip_suffix(suffix).ok_or(Fault::Header)?.trim();
    if !is_domain(domain) {
        return Err(Fault::Domain);
    }
    let address = lines[1].trim();
    let known = match chain {
        Chain::Ethereum => ethereum::is_address(address),
        Chain::Solana => solana::is_address(address),
    };
    if !known {
        return Err(Fault::Address);
    }
    if !lines[2].is_empty() {
        return Err(Fault::ThirdLine);
    }
    let (statement, start) = match (lines[3], lines[4]) {
        (statement, "") if !statement.is_empty() => (Some(statement.to_owned()), 5),
        _ => (None, 3),
    };
    let fields = fields(chain, &lines, start)?;
    let issued_at = fields.issued_at.filter(|at| *at != ZERO);
    if fields.version != "1" {
        return Err(Fault::Version(fields.version));
    }
    let issued_at = issued_at.ok_or(Fault::MissingIssuedAt)?;
    let uri = fields.uri.ok_or(Fault::MissingUri)?;
    let expiration_time = fields.expiration_time.filter(|at| *at != ZERO);
    let not_before = fields.not_before.filter(|at| *at != ZERO);
    if expiration_time.is_some_and(|end| issued_at > end) {
        return Err(Fault::IssuedAfterExpiration);
    }
    if expiration_time.zip(not_before).is_some_and(|(end, start)| start > end) {
        return Err(Fault::NotBeforeAfterExpiration);
    }
    Ok(Message {
        chain,
        domain: domain.to_owned(),
        address: address.to_owned(),
        statement,
        uri,
        chain_id: fields.chain_id,
        nonce: fields.nonce,
        issued_at,
        expiration_time,
        not_before,
        raw: raw.to_owned(),
    })
}

/// The fields; of one that is named twice the last counts, as in the reference.
fn fields(chain: Chain, lines: &[&str], start: usize) -> Result<Fields, Fault> {
    let mut fields = Fields::default();
    let mut resources = None;
    for (index, line) in lines.iter().enumerate().skip(start) {
        let line = line.trim();
        if let Some(count) = resources {
            if let Some(resource) = line.strip_prefix("- ") {
                if !is_uri(resource.trim()) {
                    return Err(Fault::Resource(count));
                }
                resources = Some(count + 1);
                continue;
            }
            resources = None;
        }
        // The published client writes the heading of a Solana message without its colon, which the reference refuses.
        if line == "Resources:" || (line == "Resources" && chain == Chain::Solana) {
            resources = Some(0);
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let (key, value) = line.split_once(':').ok_or(Fault::Line(index))?;
        set(chain, &mut fields, key, value.trim())?;
    }
    Ok(fields)
}

fn set(chain: Chain, fields: &mut Fields, key: &str, value: &str) -> Result<(), Fault> {
    let time = |fault| OffsetDateTime::parse(value, &Rfc3339).map(Some).map_err(|_| fault);
    match key {
        "URI" if is_uri(value) => fields.uri = Some(value.to_owned()),
        "URI" => return Err(Fault::Uri),
        "Version" => value.clone_into(&mut fields.version),
        "Chain ID" if is_network(chain, value) => value.clone_into(&mut fields.chain_id),
        "Chain ID" => return Err(Fault::ChainId),
        "Nonce" => value.clone_into(&mut fields.nonce),
        "Issued At" => fields.issued_at = time(Fault::IssuedAt)?,
        "Expiration Time" => fields.expiration_time = time(Fault::ExpirationTime)?,
        "Not Before" => fields.not_before = time(Fault::NotBefore)?,
        _ => {}
    }
    Ok(())
}

fn is_network(chain: Chain, name: &str) -> bool {
    match chain {
        Chain::Ethereum => name.parse::<i64>().is_ok_and(|number| number > 0),
        Chain::Solana => {
            matches!(name, "" | "solana:mainnet" | "solana:devnet" | "solana:testnet" | "solana:localnet")
        }
    }
}

/// A URI that is absolute or a path from the root.
fn is_uri(text: &str) -> bool {
    let visible = !text.is_empty() && !text.bytes().any(|b| b.is_ascii_control() || b == b' ');
    let scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    visible && (scheme || text.starts_with('/'))
}

/// `localhost` or a name of letters, digits and hyphens below a top-level domain, with a port or without.
fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    if !(1..=5).contains(&port.len()) || !port.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    if host == "localhost" {
        return true;
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.rsplit_once('.').is_some_and(|(names, top)| {
        top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()) && names.split('.').all(is_label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETHEREUM: &str = "example.com wants you to sign in with your Ethereum account:
0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed

I accept the terms.

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: abcdefgh
Issued At: 2026-11-21T07:00:00Z
Expiration Time: 2026-11-21T08:00:00.5+01:00
Not Before: 2026-11-21T06:00:00Z
Request ID: 7
Resources:
- https://example.com/a
- ipfs://bafy";

    fn fault(raw: &str) -> Fault {
        Message::parse(Chain::Ethereum, raw).unwrap_err().fault
    }

    #[test]
    fn every_field_is_read() {
        let message = Message::parse(Chain::Ethereum, &ETHEREUM.replace("+01:00", "Z")).unwrap();
        assert_eq!(message.domain, "example.com");
        assert_eq!(message.statement.as_deref(), Some("I accept the terms."));
        assert_eq!(message.uri, "https://example.com/login");
        assert_eq!((message.chain_id.as_str(), message.nonce.as_str()), ("1", "abcdefgh"));
        assert!(message.expiration_time.unwrap() > message.issued_at);
        assert!(message.not_before.unwrap() < message.issued_at);
    }

    #[test]
    fn a_statement_is_optional() {
        let raw = ETHEREUM.replace("\nI accept the terms.\n", "").replace("+01:00", "Z");
        assert_eq!(Message::parse(Chain::Ethereum, &raw).unwrap().statement, None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = ETHEREUM.replace("+01:00", "Z");
        let cases = [
            ("Ethereum account:", "Solana account:", Fault::Header),
            ("example.com wants", "-example.com wants", Fault::Domain),
            ("example.com wants", "example.com:123456 wants", Fault::Domain),
            ("example.com wants", "10.0.0.1 wants", Fault::Domain),
            ("0x5aAeb", "0x5AAeb", Fault::Address),
            ("0x5aAeb", "0xzaAeb", Fault::Address),
            ("BeAed\n", "BeAed\nx", Fault::ThirdLine),
            ("URI: https://example.com/login", "URI: not a uri", Fault::Uri),
            ("URI: https://example.com/login", "", Fault::MissingUri),
            ("Version: 1", "Version: 2", Fault::Version("2".to_owned())),
            ("Version: 1", "Version 1", Fault::Line(6)),
            ("Chain ID: 1", "Chain ID: 0", Fault::ChainId),
            ("Chain ID: 1", "Chain ID: 0x1", Fault::ChainId),
            ("Issued At: 2026-11-21T07:00:00Z", "Issued At: today", Fault::IssuedAt),
            ("Issued At: 2026-11-21T07:00:00Z", "", Fault::MissingIssuedAt),
            ("Issued At: 2026-11-21T07:00:00Z", "Issued At: 0001-01-01T00:00:00Z", Fault::MissingIssuedAt),
            ("Expiration Time: 2026", "Expiration Time: 2025", Fault::IssuedAfterExpiration),
            ("Not Before: 2026", "Not Before: 2027", Fault::NotBeforeAfterExpiration),
            ("- ipfs://bafy", "- nothing", Fault::Resource(1)),
        ];
        assert!(Message::parse(Chain::Ethereum, &good).is_ok());
        for (from, to, wanted) in cases {
            assert_eq!(fault(&good.replacen(from, to, 1)), wanted, "{to}");
        }
        assert_eq!(fault("a\nb\nc"), Fault::TooShort);
        // 08:00:00.5 in a zone an hour ahead is after 07:00:00 by half a second only.
        let later = ETHEREUM.replace("Issued At: 2026-11-21T07:00:00Z", "Issued At: 2026-11-21T07:00:01Z");
        assert_eq!(fault(&later), Fault::IssuedAfterExpiration);
        assert!(Message::parse(Chain::Ethereum, ETHEREUM).is_ok());
    }

    #[test]
    fn resources_of_solana_are_headed_as_the_client_writes_it() {
        let raw = ETHEREUM
            .replace("Ethereum", "Solana")
            .replace(
                "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
                "2xNweLHLqrbx4zo1waDvgWJHgsUpPj8Y8icbAFeR4a8i",
            )
            .replace("Chain ID: 1", "Chain ID: solana:mainnet")
            .replace("Resources:", "Resources");
        assert!(Message::parse(Chain::Solana, &raw).is_ok());
        let said = |raw: &str| Message::parse(Chain::Solana, raw).unwrap_err().fault;
        assert_eq!(said(&raw.replace("- ipfs://bafy", "- nothing")), Fault::Resource(1));
        assert_eq!(said(&raw.replace("Resources", "Resource")), Fault::Line(13));
        assert_eq!(fault(&ETHEREUM.replace("Resources:", "Resources")), Fault::Line(13));
    }

    #[test]
    fn networks_of_solana_have_names() {
        for (name, good) in [("", true), ("solana:mainnet", true), ("mainnet", false), ("1", false)] {
            assert_eq!(is_network(Chain::Solana, name), good, "{name}");
        }
    }

    #[test]
    fn domains_are_names() {
        for good in ["localhost", "localhost:3000", "a.dev", "a-b.c1.example.com:443"] {
            assert!(is_domain(good), "{good}");
        }
        for bad in ["", "a", "a.b1", "a..dev", "a-.dev", "localhost:", "a.dev:x", "https://a.dev", "a.dev/x"]
        {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
