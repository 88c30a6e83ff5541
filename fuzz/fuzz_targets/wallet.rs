//! Messages that wallets sign, of both chains, and their signatures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wallet::{Chain, Message, Signature};

fuzz_target!(|text: &str| {
    // The last line is the signature.
    let (message, signature) = text.rsplit_once('\n').unwrap_or((text, ""));
    for chain in [Chain::Ethereum, Chain::Solana] {
        let signature = Signature::read(chain, signature);
        let Ok(parsed) = Message::parse(chain, message) else { continue };
        assert_eq!(parsed.raw(), message, "what is signed is what was read");
        assert!(message.starts_with(&parsed.domain) || message.trim_start().starts_with(&parsed.domain));
        let Ok(signature) = signature else { continue };
        if parsed.is_signed_by(&signature) {
            // Any other text needs another signature.
            let other = format!("{message}\nRequest ID: 1");
            assert!(Message::parse(chain, &other).is_ok_and(|other| !other.is_signed_by(&signature)));
        }
    }
});
