//! Why an answer or a description of an identity provider is not accepted.

use thiserror::Error;

/// Why a response is refused. For the owner's log: clients are told only that it is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error("not well-formed XML, or more of it than is looked at")]
    Xml,
    #[error("the same id is used twice")]
    DuplicateId,
    /// An element or attribute that must be there once is missing, doubled, or of another form.
    #[error("{0} is missing, not alone or malformed")]
    Form(&'static str),
    #[error("the identity provider says: {0}")]
    Status(String),
    #[error("neither the response nor its assertion is signed")]
    Unsigned,
    #[error("the signature is not of a form that is accepted: {0}")]
    SignatureForm(&'static str),
    #[error("the algorithm {0} is not accepted")]
    Algorithm(String),
    #[error("the digest does not fit what is signed")]
    Digest,
    #[error("no key of the identity provider made the signature")]
    Signature,
    #[error("the assertion is encrypted, which is not allowed here")]
    Encrypted,
    #[error("the assertion could not be decrypted")]
    Decryption,
    #[error("it comes from {0}, not from this identity provider")]
    Issuer(String),
    #[error("it was sent to {0}")]
    Destination(String),
    #[error("it is for another audience")]
    Audience,
    #[error("it does not answer our request")]
    InResponseTo,
    #[error("it is not valid yet")]
    TooEarly,
    #[error("it is no longer valid")]
    TooLate,
    #[error("nobody is confirmed as its bearer")]
    Subject,
    #[error("it has a condition that is not understood")]
    Condition,
}

/// Why the metadata of an identity provider are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MetadataError {
    #[error("SAML Metadata is not valid XML")]
    Xml,
    #[error("SAML Metadata does not describe an entity")]
    NoEntity,
    #[error("SAML Metadata does not contain an EntityID")]
    NoEntityId,
    #[error("SAML Metadata does not contain any IDPSSODescriptor")]
    NoProvider,
    #[error("SAML Metadata contains multiple IDPSSODescriptors")]
    SeveralProviders,
}
