//! Whom a request comes from, as far as its API key says so.
//!
//! A request may carry a key (`apikey`) and a token (`Authorization`). The token wins, and the service checks it;
//! only where it is missing, or is just the key again, does the gateway say who is asking. Auth is never told
//! that a publishable key is a caller: its routes distinguish "no token" from "a token of anon".

use crate::keys::Binding;
use crate::{KeyKind, ServiceKind, VerifiedKey};
use fault::Fault;
use http::{HeaderMap, HeaderName, StatusCode, header, request};
use std::sync::Arc;

pub(crate) const APIKEY: HeaderName = HeaderName::from_static("apikey");
const APIKEY_PARAMETER: &str = "apikey=";

/// The key that a request presents, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    pub key: String,
    in_query: bool,
}

impl Presented {
    /// The header `apikey`, or the query parameter of that name. Keys need no percent-encoding.
    pub(crate) fn of(headers: &HeaderMap, query: Option<&str>) -> Option<Self> {
        let header = headers.get(APIKEY).and_then(|value| value.to_str().ok()).map(str::trim);
        if let Some(key) = header.filter(|key| !key.is_empty()) {
            return Some(Presented { key: key.to_owned(), in_query: false });
        }
        let key = query?.split('&').find_map(|pair| pair.strip_prefix(APIKEY_PARAMETER))?;
        (!key.is_empty()).then(|| Presented { key: key.to_owned(), in_query: true })
    }

    /// The query as the service gets it: a key in it was for us.
    pub(crate) fn query_for_service(&self, query: Option<&str>) -> Option<String> {
        let query = query?;
        if !self.in_query {
            return Some(query.to_owned());
        }
        let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(APIKEY_PARAMETER)).collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }
}

/// Puts the caller into the request's extensions where the key alone says who it is, and takes away an
/// `Authorization` that repeats an opaque key, which no service could read.
pub(crate) fn apply(
    service: ServiceKind,
    presented: &str,
    key: &VerifiedKey,
    parts: &mut request::Parts,
) -> Result<(), Fault> {
    match &key.binding {
        Binding::Free => {}
        // Also beside a user's token: the key's settings hold for whoever uses it.
        Binding::Bound(bound) => drop(parts.extensions.insert(Arc::clone(bound))),
        Binding::Malformed => return Err(malformed_settings()),
    }
    if service == ServiceKind::Platform {
        if key.kind != KeyKind::Secret {
            return Err(secret_key_needed());
        }
        parts.headers.remove(header::AUTHORIZATION);
        parts.extensions.insert(key.caller.clone());
        return Ok(());
    }
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(token::bearer);
    let repeats_opaque = bearer.is_some_and(|token| token.starts_with("sb_"));
    let from_key = match service {
        ServiceKind::Auth => {
            key.opaque && key.kind == KeyKind::Secret && (authorization.is_none() || repeats_opaque)
        }
        // A key that is a token does not stand for one that is missing.
        ServiceKind::Storage => key.opaque && (authorization.is_none() || repeats_opaque),
        _ => authorization.is_none() || repeats_opaque || bearer == Some(presented),
    };
    if from_key {
        parts.extensions.insert(key.caller.clone());
    }
    if repeats_opaque {
        parts.headers.remove(header::AUTHORIZATION);
    }
    Ok(())
}

/// No key, where one is needed. The words are those of Supabase's gateway.
pub(crate) fn no_key() -> Fault {
    Fault::new(StatusCode::UNAUTHORIZED, "no_api_key", "No API key found in request")
        .with_hint("No `apikey` request header or url param was found.")
}

/// A key of nobody, or of another project.
pub(crate) fn wrong_key() -> Fault {
    Fault::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key")
        .with_hint("Double check your Supabase `anon` or `service_role` API key.")
}

fn malformed_settings() -> Fault {
    let message = "The settings of this API key are malformed, so it opens nothing";
    Fault::new(StatusCode::FORBIDDEN, "malformed_key_settings", message)
        .with_hint("Make a new key with the wanted settings, and delete this one.")
}

fn secret_key_needed() -> Fault {
    Fault::new(StatusCode::FORBIDDEN, "secret_key_needed", "This path needs the service key of the project")
        .with_hint("Send a secret key (sb_secret_… or the service_role key) as `apikey`, from a server only.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiKeys;
    use http::Request;
    use model::{Bound, Caller};

    const SECRET: &[u8] = b"super-secret-jwt-token-with-at-least-32-characters-long";

    fn checked(key: &str) -> Arc<VerifiedKey> {
        ApiKeys::new("abcdefghijklmnopqrst".parse().unwrap())
            .with_legacy(token::KeySet::from_secret(SECRET))
            .with_opaque(KeyKind::Publishable, token::hash_opaque(token::LOCAL_PUBLISHABLE_KEY))
            .with_opaque(KeyKind::Secret, token::hash_opaque(token::LOCAL_SECRET_KEY))
            .check(key, 0)
            .unwrap()
    }

    /// The role that the service is told, and whether it still sees an Authorization.
    fn told(service: ServiceKind, key: &str, authorization: Option<&str>) -> (Option<String>, bool) {
        let mut request = Request::builder();
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        apply(service, key, &checked(key), &mut parts).unwrap();
        let role = parts.extensions.get::<Caller>().map(|c| c.role.to_string());
        (role, parts.headers.contains_key("authorization"))
    }

    #[test]
    fn rest_learns_the_caller_from_the_key_unless_there_is_a_token() {
        use ServiceKind::Rest;
        let anon = token::demo_key(SECRET, "anon");
        let bearer = |key: &str| format!("Bearer {key}");
        let some = |role: &str| Some(role.to_owned());
        assert_eq!(told(Rest, &anon, None), (some("anon"), false));
        assert_eq!(told(Rest, &anon, Some(&bearer(&anon))), (some("anon"), true));
        assert_eq!(told(Rest, &anon, Some("Bearer x.y.z")), (None, true));
        assert_eq!(told(Rest, token::LOCAL_SECRET_KEY, None), (some("service_role"), false));
        let repeated = bearer(token::LOCAL_PUBLISHABLE_KEY);
        assert_eq!(told(Rest, token::LOCAL_PUBLISHABLE_KEY, Some(&repeated)), (some("anon"), false));
        assert_eq!(told(Rest, token::LOCAL_PUBLISHABLE_KEY, Some("Bearer x.y.z")), (None, true));
        // The key counts, not what pretends to be one in Authorization.
        let other = bearer(token::LOCAL_SECRET_KEY);
        assert_eq!(told(Rest, token::LOCAL_PUBLISHABLE_KEY, Some(&other)), (some("anon"), false));
    }

    #[test]
    fn auth_learns_only_of_opaque_secret_keys() {
        use ServiceKind::Auth;
        let anon = token::demo_key(SECRET, "anon");
        let service = token::demo_key(SECRET, "service_role");
        assert_eq!(told(Auth, &anon, None), (None, false));
        assert_eq!(told(Auth, &service, None), (None, false));
        assert_eq!(told(Auth, &service, Some(&format!("Bearer {service}"))), (None, true));
        assert_eq!(told(Auth, token::LOCAL_PUBLISHABLE_KEY, None), (None, false));
        let repeated = format!("Bearer {}", token::LOCAL_PUBLISHABLE_KEY);
        assert_eq!(told(Auth, token::LOCAL_PUBLISHABLE_KEY, Some(&repeated)), (None, false));
        assert_eq!(told(Auth, token::LOCAL_SECRET_KEY, None), (Some("service_role".to_owned()), false));
        assert_eq!(told(Auth, token::LOCAL_SECRET_KEY, Some("Bearer x.y.z")), (None, true));
    }

    #[test]
    fn the_platform_wants_a_secret_key() {
        let (mut parts, ()) = Request::new(()).into_parts();
        let anon = token::demo_key(SECRET, "anon");
        let refused = apply(ServiceKind::Platform, &anon, &checked(&anon), &mut parts).unwrap_err();
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert_eq!(
            told(ServiceKind::Platform, token::LOCAL_SECRET_KEY, Some("Bearer x")),
            (Some("service_role".to_owned()), false)
        );
    }

    #[test]
    fn a_bound_key_binds_whoever_comes_with_it() {
        let bound = Bound::new([("app.tenant_id".to_owned(), "7".to_owned())], Default::default()).unwrap();
        let keys = |binding| {
            ApiKeys::new("abcdefghijklmnopqrst".parse().unwrap()).with_bound(
                KeyKind::Publishable,
                token::hash_opaque(token::LOCAL_PUBLISHABLE_KEY),
                binding,
            )
        };
        let key = keys(bound.clone().into()).check(token::LOCAL_PUBLISHABLE_KEY, 0).unwrap();
        for authorization in [None, Some("Bearer x.y.z"), Some("Bearer sb_secret_other")] {
            let mut request = Request::builder();
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            apply(ServiceKind::Rest, token::LOCAL_PUBLISHABLE_KEY, &key, &mut parts).unwrap();
            assert_eq!(parts.extensions.get::<Arc<Bound>>().map(|found| &**found), Some(&bound));
        }
        let key = keys(Binding::Malformed).check(token::LOCAL_PUBLISHABLE_KEY, 0).unwrap();
        let (mut parts, ()) = Request::new(()).into_parts();
        let refused = apply(ServiceKind::Rest, token::LOCAL_PUBLISHABLE_KEY, &key, &mut parts).unwrap_err();
        assert_eq!((refused.status, &*refused.code), (StatusCode::FORBIDDEN, "malformed_key_settings"));
    }

    #[test]
    fn a_key_in_the_query_is_taken_out() {
        let found = Presented::of(&HeaderMap::new(), Some("a=1&apikey=k&b=%20")).unwrap();
        assert_eq!(found.key, "k");
        assert_eq!(found.query_for_service(Some("a=1&apikey=k&b=%20")).as_deref(), Some("a=1&b=%20"));
        assert_eq!(found.query_for_service(Some("apikey=k")), None);
        assert_eq!(Presented::of(&HeaderMap::new(), Some("xapikey=1")), None);
        assert_eq!(Presented::of(&HeaderMap::new(), None), None);
    }
}
