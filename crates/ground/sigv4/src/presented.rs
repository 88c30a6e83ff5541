//! What a request claims about who signed it.

use std::collections::HashSet;

use time::Duration;

use crate::canonical::Request;
use crate::error::Error;
use crate::payload::Payload;
use crate::stamp::Stamp;
use crate::{ALGORITHM, LIFETIME_MAX};

/// How many headers a client may sign.
const SIGNED_HEADERS_MAX: usize = 64;

/// `access key/day/region/service/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Whose secret signed.
    pub access_key: String,
    pub(crate) day: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Credential {
    /// Reads the five parts. An access key may hold slashes, as nothing forbids them.
    pub(crate) fn parse(text: &str) -> Option<Credential> {
        let mut parts = text.rsplitn(5, '/');
        let (end, service, region, day) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let access_key = parts.next()?;
        let day_is_one = day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit());
        if end != "aws4_request" || access_key.is_empty() || access_key.len() > 512 || !day_is_one {
            return None;
        }
        Some(Credential {
            access_key: access_key.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }

    /// What stands beside the time in everything signed.
    pub(crate) fn scope(&self) -> String {
        [&self.day, &self.region, &self.service, "aws4_request"].join("/")
    }
}

/// Where the signature stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the header `Authorization`.
    Header,
    /// In the query: a URL that somebody was given, with the time for which it holds if it said so.
    Url(Option<Duration>),
}

/// A signature as presented. It proves nothing until [`Presented::verify`] has said so.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Who is said to have signed.
    pub credential: Credential,
    /// `x-amz-security-token`, from where the signature stood.
    pub token: Option<String>,
    /// Where the signature stood.
    pub place: Place,
    pub(crate) stamp: Stamp,
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
    /// The promise about the body as it was signed.
    pub(crate) content: String,
    pub(crate) payload: Payload,
}

impl Presented {
    /// Reads what a request presents: the header if it is one of ours, else the query.
    pub fn read(request: &Request<'_>) -> Result<Presented, Error> {
        let header = request.header("authorization").and_then(|value| value.strip_prefix(ALGORITHM));
        if let Some(rest) = header.filter(|rest| rest.starts_with([' ', '\t'])) {
            return Presented::from_header(request, rest);
        }
        if request.parameter("X-Amz-Credential").is_some() || request.parameter("X-Amz-Signature").is_some() {
            return Presented::from_query(request);
        }
        Err(Error::Missing)
    }

    /// Whether a header is signed. Its name in lower case.
    pub fn covers(&self, name: &str) -> bool {
        self.signed_headers.iter().any(|signed| signed == name)
    }

    fn from_header(request: &Request<'_>, text: &str) -> Result<Presented, Error> {
        let malformed = Error::Malformed("The authorization header that you provided is not valid.");
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in text.split(',') {
            let (name, value) = part.trim().split_once('=').ok_or(malformed)?;
            match name {
                "Credential" => credential = Credential::parse(value),
                "SignedHeaders" => signed = Some(signed_headers(value)?),
                "Signature" => signature = Some(value),
                _ => {}
            }
        }
        let (Some(credential), Some(signed_headers), Some(signature)) = (credential, signed, signature)
        else {
            return Err(malformed);
        };
        let stamp = request
            .header("x-amz-date")
            .and_then(Stamp::parse)
            .ok_or(Error::Malformed("AWS authentication requires a valid x-amz-date header"))?;
        // A client that knows nothing of S3 signs the hash of the body without saying so: only that of nothing can
        // be told before the body has been read.
        let content = request.header("x-amz-content-sha256").unwrap_or(crate::NOTHING);
        Ok(Presented {
            credential,
            token: request.header("x-amz-security-token").map(str::to_owned),
            place: Place::Header,
            stamp,
            signed_headers,
            signature: signature.to_owned(),
            content: content.to_owned(),
            payload: Payload::parse(content)?,
        })
    }

    fn from_query(request: &Request<'_>) -> Result<Presented, Error> {
        let malformed = Error::Malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
             X-Amz-Signature, X-Amz-Date, and X-Amz-SignedHeaders parameters.",
        );
        let parameter = |name| request.parameter(name).ok_or(malformed);
        if request.parameter("X-Amz-Algorithm").is_some_and(|name| name != ALGORITHM) {
            return Err(Error::Malformed("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let signed_headers = signed_headers(&parameter("X-Amz-SignedHeaders")?)?;
        let content = request
            .parameter("X-Amz-Content-Sha256")
            .or_else(|| {
                let signed = signed_headers.iter().any(|name| name == "x-amz-content-sha256");
                request.header("x-amz-content-sha256").filter(|_| signed).map(str::to_owned)
            })
            .unwrap_or_else(|| "UNSIGNED-PAYLOAD".to_owned());
        Ok(Presented {
            credential: Credential::parse(&parameter("X-Amz-Credential")?).ok_or(malformed)?,
            token: request.parameter("X-Amz-Security-Token"),
            place: Place::Url(lifetime(request.parameter("X-Amz-Expires"))?),
            stamp: Stamp::parse(&parameter("X-Amz-Date")?).ok_or(malformed)?,
            signed_headers,
            signature: parameter("X-Amz-Signature")?,
            payload: Payload::parse(&content)?,
            content,
        })
    }
}

fn lifetime(text: Option<String>) -> Result<Option<Duration>, Error> {
    let Some(text) = text else { return Ok(None) };
    let seconds: i64 = text.parse().map_err(|_| Error::Malformed("X-Amz-Expires should be a number"))?;
    if seconds < 0 {
        return Err(Error::Malformed("X-Amz-Expires must be non-negative"));
    }
    if seconds > LIFETIME_MAX.whole_seconds() {
        return Err(Error::Malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
             than 604800 seconds",
        ));
    }
    Ok(Some(Duration::seconds(seconds)))
}

/// The names in their order, which clients sort; ours is what they signed. A name that came twice would have its values
/// hashed twice.
fn signed_headers(text: &str) -> Result<Vec<String>, Error> {
    let names = text.split(';').take(SIGNED_HEADERS_MAX + 1).map(str::to_ascii_lowercase);
    let names: Vec<String> = names.collect();
    let different: HashSet<&str> = names.iter().map(String::as_str).collect();
    let fits = names.len() <= SIGNED_HEADERS_MAX && different.len() == names.len();
    if !fits || !different.contains("host") {
        return Err(Error::Malformed(
            "SignedHeaders must name the host header, no header twice, and no more than 64 headers",
        ));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, headers: &[(&str, &str)]) -> Result<Presented, Error> {
        Presented::read(&Request { method: "GET", path: "/", query, headers })
    }

    const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range, \
                          Signature=00";
    const QUERY: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20130524%2Feu%2Fs3%2Faws4_request\
                         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=11";

    #[test]
    fn headers_are_read() {
        let got =
            read("", &[("authorization", HEADER), ("x-amz-date", "20130524T000000Z")]).expect("a signature");
        assert_eq!((got.credential.access_key.as_str(), got.signature.as_str()), ("AK", "00"));
        assert_eq!(got.credential.scope(), "20130524/us-east-1/s3/aws4_request");
        assert_eq!(got.signed_headers, ["host", "range"]);
        assert_eq!(got.place, Place::Header);
    }

    #[test]
    fn queries_are_read_and_foreign_headers_passed_over() {
        let got = read(QUERY, &[("authorization", "Bearer abc")]).expect("a signature");
        assert_eq!(got.credential.region, "eu");
        assert_eq!((got.place, got.payload), (Place::Url(Some(Duration::minutes(1))), Payload::Unsigned));
        let both = read(QUERY, &[("authorization", HEADER), ("x-amz-date", "20130524T000000Z")])
            .expect("a signature");
        assert_eq!(both.place, Place::Header);
    }

    #[test]
    fn what_is_no_signature() {
        assert_eq!(read("", &[]).err(), Some(Error::Missing));
        assert_eq!(read("", &[("authorization", "Bearer x")]).err(), Some(Error::Missing));
        let malformed = |query: &str, headers: &[(&str, &str)]| {
            assert!(matches!(read(query, headers), Err(Error::Malformed(_))), "{query} {headers:?}");
        };
        malformed("", &[("authorization", HEADER)]);
        malformed("", &[("authorization", "AWS4-HMAC-SHA256 x"), ("x-amz-date", "20130524T000000Z")]);
        malformed(
            "",
            &[("authorization", &HEADER.replace("host", "range")), ("x-amz-date", "20130524T000000Z")],
        );
        malformed(
            "",
            &[("authorization", &HEADER.replace("aws4_request", "x")), ("x-amz-date", "20130524T000000Z")],
        );
        let many = format!("{}host", (0..64).map(|n| format!("h{n};")).collect::<String>());
        for signed in ["host;range;range", "Host;host", &many] {
            let header = HEADER.replace("host;range", signed);
            malformed("", &[("authorization", &header), ("x-amz-date", "20130524T000000Z")]);
            malformed(&QUERY.replace("=host&", &format!("={signed}&")), &[]);
        }
        for (from, to) in [
            ("Expires=60", "Expires=604801"),
            ("Expires=60", "Expires=x"),
            ("Expires=60", "Expires=-1"),
            ("Date=2013", "Date=x"),
            ("-Signature", "-Sig"),
            ("SHA256&", "SHA1&"),
        ] {
            malformed(&QUERY.replace(from, to), &[]);
        }
    }

    #[test]
    fn access_keys_may_hold_slashes() {
        let credential = Credential::parse("a/b/20130524/us-east-1/s3/aws4_request").expect("a credential");
        assert_eq!(credential.access_key, "a/b");
        assert_eq!(Credential::parse("/20130524/us-east-1/s3/aws4_request"), None);
        assert_eq!(Credential::parse("20130524/us-east-1/s3/aws4_request"), None);
    }
}
