//! Sign-ins that somebody else vouches for: an OAuth provider, an ID token, an identity provider of single sign-on,
//! a wallet.
//!
//! Whoever vouches hands in an [`Arrival`]; which account it is, and whether there is to be one, is decided by
//! [`linking`], and [`admission`] writes it down. [`run`] does both in one transaction.

mod admission;
mod linking;
mod profile;
mod transaction;

pub(crate) use profile::{PROFILE_CLAIMS, Profile};
pub(crate) use transaction::{Besides, Ended, Ending, Purpose, Spent, run, run_with};

/// Somebody a provider vouches for.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The name that the identity is kept under: `google`, `web3`, `sso:<id>`, `custom:<id>`.
    pub(crate) provider: String,
    pub(crate) profile: Profile,
    /// Whether people without an address are welcome.
    pub(crate) email_optional: bool,
    /// Whom a new account is for.
    pub(crate) audience: String,
}
