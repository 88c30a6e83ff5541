//! Where links in messages may lead back to.

use crate::settings::Settings;
use http::Uri;
use std::net::IpAddr;

/// The first of the candidates that is allowed; the site's own URL when none is.
pub(crate) fn target<'a>(settings: &'a Settings, candidates: &[&'a str]) -> &'a str {
    let found = candidates.iter().find(|url| !url.is_empty() && is_allowed(settings, url));
    found.copied().unwrap_or(&settings.site_url)
}

/// Whether links may lead to this URL: the site itself, or a match of the allow list.
pub(crate) fn is_allowed(settings: &Settings, url: &str) -> bool {
    let Some(parts) = Parts::read(url) else { return false };
    if let Some(site) = Parts::read(&settings.site_url) {
        let same_port = parts.port == site.port || is_loopback(parts.host);
        if parts.scheme == site.scheme && parts.host == site.host && same_port {
            return true;
        }
    }
    if parts.host.bytes().all(|b| b.is_ascii_digit()) && !parts.host.is_empty() {
        return false;
    }
    if let Ok(ip) = parts.host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return ip.is_loopback();
    }
    let web = matches!(parts.scheme.as_str(), "http" | "https");
    if web && !parts.host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-') {
        return false;
    }
    let whole = url.split('#').next().unwrap_or(url);
    settings.uri_allow_list.iter().any(|glob| matches(glob.as_bytes(), whole.as_bytes(), &mut { STEPS_MAX }))
}

pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What a URL is made of, as far as decisions need it.
pub(crate) struct Parts<'a> {
    pub(crate) scheme: String,
    pub(crate) host: &'a str,
    port: &'a str,
}

impl<'a> Parts<'a> {
    /// The host with its port, if one is written.
    pub(crate) fn authority(&self) -> String {
        if self.port.is_empty() { self.host.to_owned() } else { format!("{}:{}", self.host, self.port) }
    }

    pub(crate) fn read(url: &'a str) -> Option<Parts<'a>> {
        let (scheme, rest) = url.split_once(':')?;
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !scheme_ok || url.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let Some(rest) = rest.strip_prefix("//") else { return Some(Parts { scheme, host: "", port: "" }) };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if matches!(scheme.as_str(), "http" | "https") && url.split('#').next()?.parse::<Uri>().is_err() {
            return None;
        }
        let (host, port) = match host_port.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (host_port, ""),
        };
        Some(Parts { scheme, host, port })
    }
}

/// The URL with more query parameters, in alphabetical order; its fragment is dropped.
pub(crate) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut all: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .filter(|(key, _)| !pairs.iter().any(|(name, _)| name == key))
        .chain(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    format!("{base}?{}", encode(all.iter().map(|(key, value)| (key.as_str(), value.as_str()))))
}

/// The URL with a fragment made of parameters, in alphabetical order.
pub(crate) fn with_fragment(url: &str, pairs: &[(&str, &str)]) -> String {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    format!("{url}#{}", encode(pairs.into_iter()))
}

fn encode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// How much work a pattern may make before it matches nothing.
const STEPS_MAX: usize = 100_000;

/// Whether a glob matches a whole text. `.` and `/` separate: `*` and `?` stop at them, `**` does not.
fn matches(glob: &[u8], text: &[u8], steps: &mut usize) -> bool {
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    match glob {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|n| matches(rest, &text[n..], steps)),
        [b'*', rest @ ..] => {
            let run = text.iter().take_while(|b| !is_separator(**b)).count();
            (0..=run).any(|n| matches(rest, &text[n..], steps))
        }
        [b'?', rest @ ..] => {
            text.first().is_some_and(|b| !is_separator(*b)) && matches(rest, &text[1..], steps)
        }
        [b'[', rest @ ..] => match_class(rest, text, steps),
        [b'{', rest @ ..] => match_choice(rest, text, steps),
        [b'\\', literal, rest @ ..] => text.first() == Some(literal) && matches(rest, &text[1..], steps),
        [literal, rest @ ..] => text.first() == Some(literal) && matches(rest, &text[1..], steps),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'/')
}

fn match_class(glob: &[u8], text: &[u8], steps: &mut usize) -> bool {
    let Some(end) = glob.iter().position(|b| *b == b']') else { return false };
    let (class, rest) = (&glob[..end], &glob[end + 1..]);
    let (negated, class) = match class {
        [b'!', class @ ..] => (true, class),
        class => (false, class),
    };
    let Some(&byte) = text.first() else { return false };
    let within = match class {
        [low, b'-', high] => (*low..=*high).contains(&byte),
        list => list.contains(&byte),
    };
    within != negated && matches(rest, &text[1..], steps)
}

fn match_choice(glob: &[u8], text: &[u8], steps: &mut usize) -> bool {
    let Some(end) = glob.iter().position(|b| *b == b'}') else { return false };
    let (choices, rest) = (&glob[..end], &glob[end + 1..]);
    choices.split(|b| *b == b',').any(|choice| matches(&[choice, rest].concat(), text, steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn allowed(list: &[&str], url: &str) -> bool {
        let keys = Arc::new(token::KeySet::from_secret(b"secret"));
        let mut settings = Settings::new(keys, "https://site.dev:8443/app", "http://localhost/auth/v1");
        settings.uri_allow_list = list.iter().map(|s| (*s).to_owned()).collect();
        is_allowed(&settings, url)
    }

    #[test]
    fn the_site_is_allowed_on_every_path_but_not_on_another_scheme_or_port() {
        assert!(allowed(&[], "https://site.dev:8443/any/path?x=1#y"));
        for url in [
            "http://site.dev:8443/",
            "https://site.dev/",
            "https://site.dev.evil.dev:8443/",
            "//site.dev:8443",
        ] {
            assert!(!allowed(&[], url), "{url}");
        }
    }

    #[test]
    fn globs_stop_at_separators_unless_doubled() {
        assert!(allowed(&["https://x.dev/*"], "https://x.dev/a"));
        for url in ["https://x.dev/a/b", "https://x.dev/a.html", "https://x.dev"] {
            assert!(!allowed(&["https://x.dev/*"], url), "{url}");
        }
        assert!(allowed(&["https://x.dev/**"], "https://x.dev/a/b.html"));
        assert!(allowed(&["https://*.x.dev"], "https://a.x.dev"));
        assert!(!allowed(&["https://*.x.dev"], "https://a.b.x.dev"));
        assert!(allowed(&["https://{a,b}.dev/[0-9]?"], "https://b.dev/4x"));
        assert!(!allowed(&["https://{a,b}.dev/[!0-9]"], "https://b.dev/4"));
    }

    #[test]
    fn parameters_are_added_in_order() {
        assert_eq!(
            with_query("https://x.dev/a?z=1&code=old#f", &[("code", "n w")]),
            "https://x.dev/a?code=n+w&z=1"
        );
        assert_eq!(with_fragment("https://x.dev/", &[("b", "2"), ("a", "1&")]), "https://x.dev/#a=1%26&b=2");
    }

    #[test]
    fn odd_hosts_are_refused_and_custom_schemes_go_by_the_list() {
        for url in [
            "http://2130706433/",
            "http://1.2.3.4/",
            "https://a_b.dev/",
            "https://x.dev\n/",
            "javascript:alert(1)",
        ] {
            assert!(!allowed(&["http://**", "https://**"], url), "{url}");
        }
        assert!(allowed(&[], "http://127.0.0.1:3000/x"));
        assert!(allowed(&[], "http://[::1]:3000/"));
        assert!(allowed(&["myapp://**"], "myapp://callback/x"));
        assert!(!allowed(&["myapp://**"], "other://callback/x"));
    }
}
