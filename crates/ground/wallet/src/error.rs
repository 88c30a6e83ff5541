//! Why a text is no sign-in message. Clients show these, so their wording is that of the reference.

use crate::Chain;
use std::fmt;

/// What is wrong with a message of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub chain: Chain,
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    TooShort,
    Header,
    Domain,
    Address,
    ThirdLine,
    Uri,
    IssuedAt,
    ExpirationTime,
    NotBefore,
    MissingUri,
    MissingIssuedAt,
    IssuedAfterExpiration,
    NotBeforeAfterExpiration,
    ChainId,
    /// The index of a line that is no field.
    Line(usize),
    Version(String),
    /// The position of a resource that is no URI.
    Resource(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, address) = match self.chain {
            Chain::Ethereum => ("siwe", "wallet address is not a valid Ethereum address"),
            Chain::Solana => ("siws", "wallet address is not in base58 format"),
        };
        write!(f, "{prefix}: ")?;
        match &self.fault {
            Fault::TooShort => f.write_str("message needs at least 6 lines"),
            Fault::Header => write!(
                f,
                "message first line does not end in \" wants you to sign in with your {} account:\"",
                self.chain.title()
            ),
            Fault::Domain => f.write_str("domain in first line of message is not valid"),
            Fault::Address => f.write_str(address),
            Fault::ThirdLine => f.write_str("third line must be empty"),
            Fault::Uri => f.write_str("URI is not valid"),
            Fault::IssuedAt => f.write_str("Issued At is not a valid ISO8601 timestamp"),
            Fault::ExpirationTime => f.write_str("Expiration Time is not a valid ISO8601 timestamp"),
            Fault::NotBefore => f.write_str("Not Before is not a valid ISO8601 timestamp"),
            Fault::MissingUri => f.write_str("URI is not specified"),
            Fault::MissingIssuedAt => f.write_str("Issued At is not specified"),
            Fault::IssuedAfterExpiration => f.write_str("Issued At is after Expiration Time"),
            Fault::NotBeforeAfterExpiration => f.write_str("Not Before is after Expiration Time"),
            Fault::ChainId => f.write_str("Chain ID is not valid"),
            Fault::Line(index) => write!(f, "encountered unparsable line at index {index}"),
            Fault::Version(got) => write!(f, "Version value is not supported, expected 1 got {got:?}"),
            Fault::Resource(position) => write!(f, "Resource at position {position} has invalid URI"),
        }
    }
}

impl std::error::Error for Error {}
