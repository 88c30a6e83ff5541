//! Sign-in with a wallet: the texts that wallets sign (EIP-4361 of Ethereum, Sign-In-With-Solana) and their
//! signatures.
//!
//! A [`Message`] is what was read; it proves nothing until [`Message::is_signed_by`] has said so. What the text
//! promises (for which site, until when) is for the caller to check. What is accepted is what Supabase Auth accepts,
//! except for signatures in their malleable form and keys that are none, which are refused.

mod error;
mod ethereum;
mod message;
mod solana;

pub use error::{Error, Fault};
pub use message::Message;

/// A kind of wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    Ethereum,
    Solana,
}

impl Chain {
    /// The name in requests and identities.
    pub fn as_str(self) -> &'static str {
        match self {
            Chain::Ethereum => "ethereum",
            Chain::Solana => "solana",
        }
    }

    /// The name in texts.
    pub fn title(self) -> &'static str {
        match self {
            Chain::Ethereum => "Ethereum",
            Chain::Solana => "Solana",
        }
    }
}

/// A signature, as its chain writes them: 65 bytes of Ethereum (r, s, v), 64 of Solana.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(pub(crate) Vec<u8>);

/// Why a text is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("signature must be 65 bytes long, encoded as a 130 character-long hexadecimal string")]
    EthereumLength,
    #[error("signature must be 64 bytes encoded as base64 with or without padding")]
    SolanaLength,
    #[error("signature does not contain valid base64 characters")]
    SolanaBase64,
    /// The right length, but no bytes: nobody's signature.
    #[error("signature is not hexadecimal")]
    EthereumHex,
}

impl Signature {
    /// Reads hexadecimal of Ethereum, with or without `0x`; base64 of Solana in either alphabet, padded or not.
    pub fn read(chain: Chain, text: &str) -> Result<Signature, SignatureError> {
        match chain {
            Chain::Ethereum => ethereum::signature(text),
            Chain::Solana => solana::signature(text),
        }
        .map(Signature)
    }
}

/// The forms in which the same account may be written, the given one first.
pub fn spellings(chain: Chain, address: &str) -> Vec<String> {
    let mut list = vec![address.to_owned()];
    if chain == Chain::Ethereum {
        list.push(address.to_ascii_lowercase());
        list.push(ethereum::with_checksum(address));
        list.dedup();
    }
    list
}
