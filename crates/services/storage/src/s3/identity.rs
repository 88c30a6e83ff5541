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
        if let Some(prefix) = call.header("x-forwarded-prefix") {
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
    /// What `verify` says with the first secret that is right.
    fn verify<T>(&self, storage: &Storage, verify: impl Fn(&str) -> Result<T, sigv4::Error>) -> Outcome<T> {
        let secrets: Vec<&str> = match self {
            Claim::Key(key) => vec![key.secret_key.expose()],
            Claim::Session(_) => storage.settings.s3.session_secrets.iter().map(|s| s.expose()).collect(),
        };
        let mut last = sigv4::Error::Mismatch;
        for secret in secrets {
            match verify(secret) {
                Ok(verified) => return Ok(verified),
                Err(error) => last = error,
            }
            if last != sigv4::Error::Mismatch {
                break;
            }
        }
        Err(last.into())
    }

    fn identity(self, storage: &Storage, call: &Call) -> Outcome<Identity> {
        match self {
            Claim::Key(key) => {
                let claims = serde_json::from_str(&key.claims).unwrap_or_default();
                Ok(Identity::of_claims(&claims, key.claims.to_string(), String::new()))
            }
            Claim::Session(token) => caller::verify(&token, &storage.settings, call.unix_seconds()),
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
    let here = Here::of(storage, call);
    let claim = claim(storage, &presented.credential, presented.token.as_deref())?;
    let verified = claim.verify(storage, |secret| presented.verify(&request, secret, &here.expected()))?;
    Ok(Some(Signed { identity: claim.identity(storage, call)?, verified }))
}

/// The signer of a form's policy.
pub(super) fn of_form(storage: &Storage, call: &Call, form: &PostForm) -> Outcome<Identity> {
    let here = Here::of(storage, call);
    let claim = claim(storage, &form.credential, form.token.as_deref())?;
    claim.verify(storage, |secret| form.verify(secret, &here.expected()))?;
    claim.identity(storage, call)
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
}
