//! Which service a path belongs to, and the path as that service sees it.

use http::Uri;
use http::uri::PathAndQuery;

/// The services behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    Rest,
    Auth,
    Storage,
    /// `/graphql/v1`: a function of the database, called through rest.
    Graphql,
    Platform,
}

impl ServiceKind {
    /// Whether bodies of any length pass through it piece by piece: it sees to their limits and times itself.
    pub(crate) fn takes_streams(self) -> bool {
        self == ServiceKind::Storage
    }

    /// The word in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceKind::Rest => "rest",
            ServiceKind::Auth => "auth",
            ServiceKind::Storage => "storage",
            ServiceKind::Graphql => "graphql",
            ServiceKind::Platform => "platform",
        }
    }
}

const PREFIXES: [(&str, ServiceKind); 5] = [
    ("/rest/v1", ServiceKind::Rest),
    ("/auth/v1", ServiceKind::Auth),
    ("/storage/v1", ServiceKind::Storage),
    ("/graphql/v1", ServiceKind::Graphql),
    ("/rowhouse/v1", ServiceKind::Platform),
];

/// Paths of auth that browsers reach by a link or a redirect, so without a key.
const OPEN_AUTH: [&str; 7] =
    ["/verify", "/callback", "/authorize", "/.well-known", "/sso/saml/acs", "/sso/saml/metadata", "/oauth"];

/// Auth's routes as the log names them.
const AUTH_CLASSES: [&str; 22] = [
    "admin",
    "authorize",
    "callback",
    "factors",
    "health",
    "invite",
    "logout",
    "magiclink",
    "oauth",
    "otp",
    "passkeys",
    "reauthenticate",
    "recover",
    "resend",
    "settings",
    "signup",
    "sso",
    "token",
    "user",
    "verify",
    ".well-known",
    "generate_link",
];

/// Storage's routes as the log names them.
const STORAGE_CLASSES: [&str; 9] =
    ["bucket", "cdn", "health", "object", "render", "s3", "status", "upload", "version"];

/// A path within a service. All text is as the client sent it: nothing is decoded or normalised here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub service: ServiceKind,
    /// Begins with a slash.
    pub path: &'a str,
}

/// `path` without `prefix`, if it lies below it; always with a leading slash.
pub(crate) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        rest if rest.starts_with('/') => Some(rest),
        _ => None,
    }
}

impl<'a> Route<'a> {
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        PREFIXES.iter().find_map(|(prefix, service)| {
            below(path, prefix).map(|rest| match service {
                ServiceKind::Graphql => Route { service: *service, path: "/rpc/graphql" },
                _ => Route { service: *service, path: rest },
            })
        })
    }

    /// Whether the path is served without a key.
    pub(crate) fn is_open(&self) -> bool {
        self.service == ServiceKind::Auth && OPEN_AUTH.iter().any(|open| below(self.path, open).is_some())
    }

    /// A word for the log that says what kind of path this is, and nothing of a user's names.
    pub(crate) fn class(&self) -> &'static str {
        let first = self.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        match (self.service, first) {
            (_, "") => "root",
            (ServiceKind::Rest, "rpc") => "rpc",
            (ServiceKind::Rest, _) => "table",
            (ServiceKind::Graphql, _) => "graphql",
            (ServiceKind::Platform, "entities") => "entities",
            (ServiceKind::Auth, _) => AUTH_CLASSES.iter().find(|c| **c == first).copied().unwrap_or("other"),
            (ServiceKind::Storage, _) => {
                STORAGE_CLASSES.iter().find(|c| **c == first).copied().unwrap_or("other")
            }
            (ServiceKind::Platform, _) => "other",
        }
    }
}

/// A URI of this path and query.
pub(crate) fn uri_of(path: &str, query: Option<&str>) -> Option<Uri> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::from_maybe_shared(bytes::Bytes::from(text)).ok().map(Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_stripped_at_segment_borders_and_nothing_else_changes() {
        let path = |p: &'static str| Route::of(p).map(|r| (r.service, r.path));
        assert_eq!(path("/rest/v1/a%2Fb%20c/"), Some((ServiceKind::Rest, "/a%2Fb%20c/")));
        assert_eq!(path("/rest/v1"), Some((ServiceKind::Rest, "/")));
        assert_eq!(path("/rest/v1/"), Some((ServiceKind::Rest, "/")));
        assert_eq!(path("/auth/v1/token"), Some((ServiceKind::Auth, "/token")));
        assert_eq!(path("/graphql/v1"), Some((ServiceKind::Graphql, "/rpc/graphql")));
        for none in ["/", "/rest", "/rest/v11/x", "/REST/v1/x", "//rest/v1/x", "/rest%2Fv1/x"] {
            assert_eq!(path(none), None, "{none}");
        }
    }

    #[test]
    fn only_links_are_open() {
        let open = |p: &'static str| Route::of(p).is_some_and(|r| r.is_open());
        for p in [
            "/auth/v1/verify",
            "/auth/v1/callback",
            "/auth/v1/.well-known/jwks.json",
            "/auth/v1/sso/saml/acs",
        ] {
            assert!(open(p), "{p}");
        }
        for p in [
            "/auth/v1/token",
            "/auth/v1/verifyx",
            "/auth/v1/admin/users",
            "/rest/v1/verify",
            "/auth/v1/x/verify",
        ] {
            assert!(!open(p), "{p}");
        }
    }

    #[test]
    fn classes_hold_no_names() {
        let class = |p: &'static str| Route::of(p).map(|r| r.class());
        assert_eq!(class("/rest/v1/secret_table"), Some("table"));
        assert_eq!(class("/rest/v1/rpc/f"), Some("rpc"));
        assert_eq!(class("/rest/v1/"), Some("root"));
        assert_eq!(class("/auth/v1/admin/users/1"), Some("admin"));
        assert_eq!(class("/auth/v1/unheard-of"), Some("other"));
    }
}
