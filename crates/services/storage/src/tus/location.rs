//! The URL of an upload, as its client reaches it.
//!
//! Where the operator said under which URL the storage is reached, that is it. Where it is only the machine's own
//! address, which is what a local stack says, clients elsewhere need the address that they used: what a proxy says of
//! it, or else the header `Host`.

use super::id::UploadId;
use super::{Ask, BASE};
use http::Uri;
use std::net::IpAddr;

/// `Location` of an upload.
pub(super) fn location(ask: &Ask, id: &UploadId) -> String {
    let configured = ask.storage.settings.public_url.trim_end_matches('/');
    let base = if is_of_this_machine(configured) { reached(ask, configured) } else { configured.to_owned() };
    let sign = if ask.is_signed { "/sign" } else { "" };
    format!("{base}/{BASE}{sign}/{id}")
}

fn is_of_this_machine(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || plain.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

/// The base as the request itself came to it.
fn reached(ask: &Ask, configured: &str) -> String {
    let call = &ask.call;
    let first = |name: &'static str| {
        call.header(name).and_then(|value| value.split(',').next()).map(str::trim).filter(|v| !v.is_empty())
    };
    let (by, proto) = forwarded(call.header("forwarded").unwrap_or_default());
    let host = by.or(first("x-forwarded-host").map(str::to_owned));
    let is_forwarded = host.is_some();
    let Some(mut host) = host.or(first("host").map(str::to_owned)).filter(|host| is_host(host)) else {
        return configured.to_owned();
    };
    let proto = proto.or(first("x-forwarded-proto").map(str::to_owned));
    let own = if configured.starts_with("https:") { "https" } else { "http" };
    let scheme = proto.filter(|proto| proto == "http" || proto == "https").unwrap_or_else(|| own.to_owned());
    let port = first("x-forwarded-port").filter(|port| port.parse::<u16>().is_ok() && is_forwarded);
    if let Some(port) = port.filter(|port| !matches!(*port, "80" | "443")) {
        let bare = match host.rsplit_once(':') {
            Some((bare, old)) if old.bytes().all(|byte| byte.is_ascii_digit()) => bare.to_owned(),
            _ => host,
        };
        host = format!("{bare}:{port}");
    }
    let before = first("x-forwarded-prefix").filter(|prefix| is_path(prefix)).unwrap_or_default();
    let path = configured.parse::<Uri>().map(|uri| uri.path().trim_end_matches('/').to_owned());
    let path = if call.prefix.is_empty() { path.unwrap_or_default() } else { call.prefix.clone() };
    format!("{scheme}://{host}{}{}", before.trim_end_matches('/'), path.trim_end_matches('/'))
}

/// Host and protocol of the first hop in `Forwarded`, RFC 7239.
fn forwarded(header: &str) -> (Option<String>, Option<String>) {
    let (mut host, mut proto) = (None, None);
    for pair in header.split(',').next().unwrap_or_default().split(';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "host" => host = Some(value),
            "proto" => proto = Some(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    (host, proto)
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= 1024
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.-_~%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine() {
        for own in
            ["http://127.0.0.1:54321/storage/v1", "http://localhost", "http://[::1]:1/x", "http://0.0.0.0:1"]
        {
            assert!(is_of_this_machine(own), "{own}");
        }
        for other in
            ["https://api.example.com/storage/v1", "http://192.168.1.2:1", "https://localhost.example.com"]
        {
            assert!(!is_of_this_machine(other), "{other}");
        }
    }

    #[test]
    fn what_proxies_say() {
        let both = (Some("a.example:8443".to_owned()), Some("https".to_owned()));
        assert_eq!(forwarded("for=1.2.3.4;host=\"a.example:8443\";proto=HTTPS, host=b"), both);
        assert_eq!(forwarded(""), (None, None));
        assert!(is_host("a.example:80") && is_host("[::1]:80") && !is_host("a/b") && !is_host("a b"));
        assert!(is_path("/x/y") && !is_path("//x") && !is_path("x") && !is_path("/x?y"));
    }
}
