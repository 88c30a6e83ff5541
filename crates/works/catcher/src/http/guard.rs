//! Who may ask: programs and pages of this machine.
//!
//! A page on the internet can have its own name lead to this machine, and then ask us as if we were its own server.
//! So only names are answered that nobody out there can have.

use super::text;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use http::{Response, StatusCode, header};
use std::net::IpAddr;

pub(super) async fn known_host(request: Request, next: Next) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if !host.is_some_and(is_local) {
        let message = "The mail catcher answers under localhost and addresses only, not under this name.\n";
        return text(StatusCode::MISDIRECTED_REQUEST, message);
    }
    next.run(request).await
}

/// An address, which no page's name can be, or a name that means this machine.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    address.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || matches!(name.as_str(), "host.docker.internal" | "host.containers.internal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_not_ours() {
        for host in [
            "localhost",
            "LOCALHOST:54324",
            "127.0.0.1:54324",
            "[::1]:1",
            "app.localhost:8",
            "10.0.0.2",
            "localhost.:1",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.dev",
            "evil.dev:54324",
            "localhost.evil.dev",
            "127.0.0.1.nip.io",
            "notlocalhost",
            "evil:localhost",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
