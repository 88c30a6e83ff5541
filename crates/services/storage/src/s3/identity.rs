//! Who signed a request, and for whom it speaks.

use super::refused;
use crate::Storage;
use crate::call::Call;
use crate::caller::{self, Identity};
use crate::refusal::{Outcome, Refusal};
use crate::settings::S3Key;
use http::header;
use sigv4::{Credential, Expected, PostForm, Presented, Regions, Request, Verified};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

/// How many names of ours a signature is tried with.
const HOSTS_MAX: usize = 5;
/// The longest prefix that is believed.
const PREFIX_BYTES_MAX: usize = 1024;

/// A request whose signer is known.
pub(super) struct Signed {
    pub(super) identity: Identity,
    pub(super) verified: Verified,
}

/// Where and when we are, for signatures.
struct Here<'a> {
    hosts: Vec<String>,
    prefixes: Vec<String>,
    storage: &'a Storage,
    now: OffsetDateTime,
}

impl<'a> Here<'a> {
    fn of(storage: &'a Storage, call: &Call) -> Here<'a> {
        let (public_host, public_path) = public(&storage.settings.public_url);
        let mut hosts = Vec::new();
        let mut prefixes = Vec::new();
        let add = |list: &mut Vec<String>, item: String| {
            if !list.contains(&item) && list.len() < HOSTS_MAX {
                list.push(item);
            }
        };
        for host in named_hosts(call) {
            add(&mut hosts, host);
        }
        add(&mut hosts, public_host.to_owned());
        add(&mut prefixes, call.prefix.trim_end_matches('/').to_owned());
        if let Some(prefix) = call.header("x-forwarded-prefix").filter(|prefix| is_prefix(prefix)) {
            let prefix = prefix.trim_end_matches('/');
            add(&mut prefixes, prefix.to_owned());
            add(&mut prefixes, [prefix, call.prefix.trim_end_matches('/')].concat());
        }
        add(&mut prefixes, public_path.trim_end_matches('/').to_owned());
        add(&mut prefixes, String::new());
        Here { hosts, prefixes, storage, now: call.now.into() }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            hosts: &self.hosts,
            prefixes: &self.prefixes,
            regions: Regions { ours: &self.storage.settings.s3.region, enforced: false },
            service: "s3",
            now: self.now,
        }
    }
}

/// Whether a proxy may have taken this off a path. Clients can say it too. What follows it is `/s3/…`: had it such a part
/// itself, it could turn a part of a key that was signed into the bucket.
fn is_prefix(text: &str) -> bool {
    text.starts_with('/') && text.len() <= PREFIX_BYTES_MAX && text.split('/').all(|part| part != "s3")
}

/// The host and the path of a URL.
fn public(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or((rest, ""), |at| rest.split_at(at))
}

/// What the client may have called us: proxies say so in several ways.
fn named_hosts(call: &Call) -> Vec<String> {
    let mut hosts = Vec::new();
    if let Some(host) = call.header(header::HOST) {
        hosts.push(host.to_owned());
    }
    if let Some(forwarded) = call.header("x-forwarded-host") {
        let host = forwarded.split(',').next().unwrap_or_default().trim().to_ascii_lowercase();
        let port =
            call.header("x-forwarded-port").map(str::trim).filter(|port| !matches!(*port, "80" | "443" | ""));
        if let Some(port) = port {
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            hosts.push([name, ":", port].concat());
        }
        hosts.push(host);
    }
    if let Some(forwarded) = call.header(header::FORWARDED) {
        let mut pairs = forwarded.split([';', ',']).filter_map(|pair| pair.trim().split_once('='));
        let host = pairs.find(|(name, _)| name.eq_ignore_ascii_case("host"));
        hosts.extend(host.map(|(_, value)| value.trim_matches('"').to_ascii_lowercase()));
    }
    hosts
}

/// The secrets that an access key may have signed with, and whom it speaks for.
enum Claim<'a> {
    Key(&'a S3Key),
    /// The token of a user's session.
    Session(String),
}

fn claim<'a>(storage: &'a Storage, credential: &Credential, token: Option<&str>) -> Outcome<Claim<'a>> {
    let settings = &storage.settings;
    if let Some(token) = token {
        let ours = credential.access_key.as_bytes().ct_eq(settings.project.as_str().as_bytes());
        let named = settings.s3.session_names.contains(&credential.access_key);
        return if bool::from(ours) || named {
            Ok(Claim::Session(token.to_owned()))
        } else {
            Err(refused::invalid_access_key())
        };
    }
    let key = settings.s3.keys.iter().find(|key| key.access_key == credential.access_key);
    key.map(Claim::Key).ok_or_else(refused::invalid_access_key)
}

impl Claim<'_> {
    fn secrets<'a>(&'a self, storage: &'a Storage) -> Vec<&'a str> {
        match self {
            Claim::Key(key) => vec![key.secret_key.expose()],
            Claim::Session(_) => storage.settings.s3.session_secrets.iter().map(|s| s.expose()).collect(),
        }
    }

    /// For whom it speaks, once a signature has been found right. A session's token is checked before that: it costs
    /// less.
    fn identity(&self, storage: &Storage, call: &Call) -> Outcome<Identity> {
        match self {
            Claim::Key(key) => {
                let claims = serde_json::from_str(&key.claims).unwrap_or_default();
                Ok(Identity::of_claims(&claims, key.claims.to_string(), String::new()))
            }
            Claim::Session(token) => caller::verify(token, &storage.settings, call.unix_seconds()),
        }
    }
}

/// The signer of a request by header or by URL.
pub(super) fn of_request(storage: &Storage, call: &Call) -> Outcome<Option<Signed>> {
    let headers: Vec<(&str, &str)> = call
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?)))
        .collect();
    let request =
        Request { method: call.method.as_str(), path: &call.path, query: &call.raw_query, headers: &headers };
    let presented = match Presented::read(&request) {
        Ok(presented) => presented,
        Err(sigv4::Error::Missing) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    check_texts(call, &presented)?;
    let here = Here::of(storage, call);
    let claim = claim(storage, &presented.credential, presented.token.as_deref())?;
    let identity = claim.identity(storage, call)?;
    let verified = presented.verify(&request, &claim.secrets(storage), &here.expected())?;
    Ok(Some(Signed { identity, verified }))
}

/// Headers that are signed, or that must be, are text: the signature would not see others, and whoever reads them might.
/// Of AWS's only metadata may be more than ASCII.
fn check_texts(call: &Call, presented: &Presented) -> Outcome<()> {
    for (name, value) in &call.headers {
        let name = name.as_str();
        let is_free = !name.starts_with("x-amz-") || name.starts_with("x-amz-meta-");
        let is_text = match is_free {
            true => std::str::from_utf8(value.as_bytes()).is_ok(),
            false => value.to_str().is_ok(),
        };
        if !is_text && (presented.covers(name) || name.starts_with("x-amz-")) {
            return Err(refused::invalid_argument(format!("The header {name} is no text")));
        }
    }
    Ok(())
}

/// The signer of a form's policy.
pub(super) fn of_form(storage: &Storage, call: &Call, form: &PostForm) -> Outcome<Identity> {
    let here = Here::of(storage, call);
    let claim = claim(storage, &form.credential, form.token.as_deref())?;
    let identity = claim.identity(storage, call)?;
    form.verify(&claim.secrets(storage), &here.expected())?;
    Ok(identity)
}

/// A request that nobody signed.
pub(super) fn missing() -> Refusal {
    sigv4::Error::Missing.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_host_and_a_path() {
        assert_eq!(public("https://a.example/storage/v1"), ("a.example", "/storage/v1"));
        assert_eq!(public("http://127.0.0.1:54321"), ("127.0.0.1:54321", ""));
        assert_eq!(public(""), ("", ""));
    }

    #[test]
    fn prefixes_hold_nothing_of_the_protocol() {
        for good in ["/", "/api", "/api/storage/v1/", "/s3x/as3"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in ["", "api", "/s3", "/storage/v1/s3", "/storage/v1/s3/b/k", "/s3/"] {
            assert!(!is_prefix(bad), "{bad}");
        }
        assert!(!is_prefix(&["/", &"a".repeat(PREFIX_BYTES_MAX)].concat()));
    }
}
