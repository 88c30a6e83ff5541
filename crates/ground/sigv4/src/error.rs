//! Why a request, a body or a form is not believed.

/// What callers tell apart; S3's code of each is in its doc line. No variant carries a secret, a signature or what was
/// signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing in the request claims to be a signature. `AccessDenied`.
    #[error("Missing signature")]
    Missing,
    /// `AuthorizationHeaderMalformed`, or `AuthorizationQueryParametersError` of a URL.
    #[error("{0}")]
    Malformed(&'static str),
    /// `SignatureDoesNotMatch`.
    #[error(
        "The request signature we calculated does not match the signature you provided. \
         Check your key and signing method."
    )]
    Mismatch,
    /// `RequestTimeTooSkewed`.
    #[error("The difference between the request time and the server's time is too large.")]
    Skewed,
    /// `ExpiredToken`.
    #[error("The provided token has expired.")]
    Expired,
    /// `AccessDenied`: something that changes what the request does was left out of the signature.
    #[error("There were headers present in the request which were not signed")]
    Unsigned,
    /// `InvalidRequest`: the body is not framed as it was announced.
    #[error("{0}")]
    Body(&'static str),
    /// `EntityTooLarge`.
    #[error("{0}")]
    TooLarge(&'static str),
    /// `IncompleteBody`.
    #[error("You did not provide the number of bytes specified by the Content-Length HTTP header")]
    Incomplete,
    /// `InvalidPolicyDocument`.
    #[error("{0}")]
    PolicyMalformed(&'static str),
    /// `AccessDenied`: the form is not what the policy allows.
    #[error("Invalid according to Policy: {0}")]
    PolicyRefused(&'static str),
}
