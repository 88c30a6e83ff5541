//! Messages that wallets sign, of both chains, and their signatures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wallet::{Chain, Message, Signature};

fuzz_target!(|text: &str| {
    // The last line is the signature.
    let (message, signature) = text.rsplit_once('\n').unwrap_or((text, ""));
    for chain in [Chain::Ethereum, Chain::Solana] {
        let signature = Signature::read(chain, signature);
        if let (Ok(message), Ok(signature)) = (Message::parse(chain, message), signature) {
            let _ = message.is_signed_by(&signature);
        }
    }
});
