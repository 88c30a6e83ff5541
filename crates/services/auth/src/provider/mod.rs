//! Providers of identities: where they are, how one asks them, and how they describe people.
//!
//! Most are an entry in [`entries`] with a function that reads their answer; what is peculiar to one has a module
//! of its own ([`oauth1`] for the old Twitter). ID tokens are checked in [`oidc`] and read in [`claims`]. Providers
//! that administrators define are rows, see [`custom`].

mod callback;
mod claims;
pub(crate) mod custom;
mod entries;
mod exchange;
pub(crate) mod id_token;
mod jwk;
pub(crate) mod oauth1;
pub(crate) mod oidc;
mod resolve;
mod social;
mod work;

pub(crate) use callback::profile;
pub(crate) use exchange::{Tokens, exchange};
pub(crate) use resolve::{Provider, Unusable, resolve};

/// Whether there is a provider of this name in the list.
pub(crate) fn is_listed(name: &str) -> bool {
    entries::find(name).is_some()
}

/// Why a provider could not be asked, for the log. Holds nothing that was sent to it.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Failure {
        Failure(text.into())
    }
}

impl From<outbound::Error> for Failure {
    fn from(error: outbound::Error) -> Self {
        Failure(error.to_string())
    }
}

/// How a provider wants to know which client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// By a header, and if that fails by parameters.
    Header,
    /// By parameters, and if that fails by a header.
    Params,
}
