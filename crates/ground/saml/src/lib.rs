//! SAML 2.0 for a service provider: what an identity provider says of itself, requests to it, and its answers.
//!
//! Everything is text in, values out; time and chance come in as parameters. An [`Assertion`] exists only if its
//! signature was verified: it is read from the very elements that the signature covers, found by their place below
//! the document's root and never by a name or an id that somebody else may have used as well. That, with one
//! reference a signature and no id twice, is what keeps wrapped signatures out.
//!
//! Signatures and canonical forms are our own code on `roxmltree` and `ring`. The crates that offer XML security
//! as a whole are young, carry far more than the one form of signature that SAML needs, and answer "is this valid"
//! rather than "which bytes were signed".

mod algorithm;
mod assertion;
mod canonical;
mod certificate;
mod encryption;
mod error;
mod instant;
mod key;
mod metadata;
mod request;
mod response;
mod service;
mod signature;
mod xml;

pub use assertion::{Assertion, Attribute, NameId};
pub use error::{Error, MetadataError};
pub use key::{KeyError, SigningKey};
pub use metadata::IdentityProvider;
pub use response::{Expectation, issuer_of};
pub use service::ServiceProvider;

/// Formats of names of people.
pub mod name_id {
    pub const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
    pub const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
    pub const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
    pub const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
}
