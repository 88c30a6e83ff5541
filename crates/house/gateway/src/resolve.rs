//! Which project a request is for: custom domain, `<ref>.<base domain>`, the path prefix `/p/<ref>`, the ref or
//! the identity of its API key, the default project; in this order.

use crate::route::below;
use crate::{Lookup, Projects, Tenant};
use base64_payload::project_of;
use fault::Fault;
use http::uri::Authority;
use http::{HeaderMap, Uri, header};
use model::ProjectRef;
use std::net::IpAddr;
use std::sync::Arc;

/// What a request says about its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    host: Host,
    prefix: Option<ProjectRef>,
    /// The path below the prefix.
    pub path: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// Names no project: an address, `localhost`, a base domain itself, nothing.
    Plain,
    Project(ProjectRef),
    Domain(String),
}

impl<'a> Target<'a> {
    pub(crate) fn of(uri: &'a Uri, headers: &HeaderMap, base_domains: &[String]) -> Self {
        let named = uri.path().strip_prefix("/p/").and_then(|rest| {
            let (name, _) = rest.split_once('/').unwrap_or((rest, ""));
            let reference: ProjectRef = name.parse().ok()?;
            below(rest, name).map(|path| (reference, path))
        });
        let host = host_of(uri, headers, base_domains);
        match named {
            Some((reference, path)) => Target { host, prefix: Some(reference), path },
            None => Target { host, prefix: None, path: uri.path() },
        }
    }

    /// Whether the host or the path names a project, so that a missing one is a fault of its own.
    pub(crate) fn names_project(&self) -> bool {
        self.prefix.is_some() || matches!(self.host, Host::Project(_))
    }

    /// Finds the project. `key` is the API key of the request, unchecked.
    pub(crate) async fn project(
        &self,
        projects: &dyn Projects,
        key: Option<&str>,
    ) -> Result<Option<Arc<Tenant>>, Fault> {
        let by_host = match &self.host {
            Host::Plain => None,
            Host::Domain(name) => projects.resolve(Lookup::Domain(name.clone())).await?,
            // A name below a base domain is meant for that project alone, also when there is none.
            Host::Project(reference) => return projects.resolve(Lookup::Ref(reference.clone())).await,
        };
        if by_host.is_some() {
            return Ok(by_host);
        }
        if let Some(reference) = &self.prefix {
            return projects.resolve(Lookup::Ref(reference.clone())).await;
        }
        if let Some(lookup) = key.and_then(key_lookup)
            && let Some(tenant) = projects.resolve(lookup).await?
        {
            return Ok(Some(tenant));
        }
        projects.resolve(Lookup::Default).await
    }
}

/// How a key names its project. What a legacy key says is not trusted here: it is checked with the keys of the
/// project that it names.
fn key_lookup(key: &str) -> Option<Lookup> {
    if token::opaque_kind(key).is_some() {
        return Some(Lookup::KeyHash(token::hash_opaque(key)));
    }
    project_of(key).map(Lookup::Ref)
}

fn host_of(uri: &Uri, headers: &HeaderMap, base_domains: &[String]) -> Host {
    let from_header = || headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let Some(authority) = uri.authority().cloned().or_else(from_header) else { return Host::Plain };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    if is_address || name.is_empty() || name == "localhost" || base_domains.contains(&name) {
        return Host::Plain;
    }
    let below_base = base_domains.iter().find_map(|base| name.strip_suffix(base.as_str())?.strip_suffix('.'));
    match below_base {
        Some(label) => label.parse().map_or(Host::Domain(name.clone()), Host::Project),
        None => Host::Domain(name),
    }
}

/// Reading one claim of a token that nobody has verified yet.
mod base64_payload {
    use model::ProjectRef;

    #[derive(serde::Deserialize)]
    struct Payload {
        // Not required: making the error that would say so costs more than all the rest.
        #[serde(rename = "ref", default)]
        reference: Option<ProjectRef>,
    }

    /// The longest key that is looked into.
    const KEY_BYTES_MAX: usize = 4096;

    pub(super) fn project_of(token: &str) -> Option<ProjectRef> {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
        if token.len() > KEY_BYTES_MAX {
            return None;
        }
        let payload = B64.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<Payload>(&payload).ok().and_then(|payload| payload.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const REF: &str = "abcdefghijklmnopqrst";

    fn target(uri: &str, host: &str) -> (Host, Option<String>, String) {
        let uri: Uri = uri.parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        let target = Target::of(&uri, &headers, &["rowhouse.test".to_owned()]);
        (target.host, target.prefix.map(String::from), target.path.to_owned())
    }

    #[test]
    fn the_host_names_a_project_or_a_domain() {
        let reference: ProjectRef = REF.parse().unwrap();
        let host = |name: &str| target("/", name).0;
        assert_eq!(host(&format!("{REF}.rowhouse.test:8000")), Host::Project(reference.clone()));
        assert_eq!(host(&format!("{}.Rowhouse.Test.", REF.to_uppercase())), Host::Project(reference));
        assert_eq!(host("api.acme.test"), Host::Domain("api.acme.test".to_owned()));
        assert_eq!(host("www.rowhouse.test"), Host::Domain("www.rowhouse.test".to_owned()));
        for plain in ["127.0.0.1:54321", "[::1]:54321", "localhost:1", "rowhouse.test", "", "a b"] {
            assert_eq!(host(plain), Host::Plain, "{plain}");
        }
    }

    #[test]
    fn the_prefix_is_stripped_and_encoding_stays() {
        let (_, prefix, path) = target(&format!("/p/{REF}/rest/v1/a%2Fb?x=%20"), "h");
        assert_eq!((prefix.as_deref(), path.as_str()), (Some(REF), "/rest/v1/a%2Fb"));
        let (_, prefix, path) = target(&format!("/p/{REF}"), "h");
        assert_eq!((prefix.as_deref(), path.as_str()), (Some(REF), "/"));
        let (_, prefix, path) = target("/p/short/rest/v1/t", "h");
        assert_eq!((prefix, path.as_str()), (None, "/p/short/rest/v1/t"));
    }

    #[test]
    fn keys_name_their_project() {
        let keys = token::KeySet::from_secret(b"some secret of at least thirty-two bytes");
        let legacy = token::legacy_key(&keys, REF, "anon", 1, 2).unwrap();
        assert_eq!(key_lookup(&legacy), Some(Lookup::Ref(REF.parse().unwrap())));
        assert!(matches!(key_lookup(token::LOCAL_SECRET_KEY), Some(Lookup::KeyHash(_))));
        for odd in ["", "a.b.c", "....", &token::demo_key(b"x", "anon")] {
            assert_eq!(key_lookup(odd), None, "{odd}");
        }
    }
}
