//! What storage needs of the machine: where files are, and who works on them: the renderer of pictures, the scanner.

use crate::data_dir::DataDir;
use crate::files::FilesArgs;
use anyhow::{Context, bail};
use clap::Args;
use picture::{Budget, Cache, Renderer};
use storage::scan::{Manner, Place};
use storage::{Machinery, Pictures, Scanner};

/// Disk for rendered pictures, of all projects and of one.
const PICTURES: Budget = Budget { total: 1 << 30, each: 128 << 20 };

/// Who looks at uploaded files.
#[derive(Debug, Args, Clone)]
pub struct ScannerArgs {
    /// Have every uploaded file looked at before anybody can read it: clamd:/path/of/socket, clamd://host:port, or
    /// the URL of an HTTP scanner
    #[arg(long, value_name = "ADDRESS", env = "ROWHOUSE_SCANNER")]
    pub scanner: Option<String>,
    /// Sent to an HTTP scanner as a bearer token
    #[arg(long, value_name = "TOKEN", env = "ROWHOUSE_SCANNER_TOKEN", hide_env_values = true)]
    pub scanner_token: Option<String>,
    /// Take files all the same when the scanner fails
    #[arg(long, requires = "scanner")]
    pub scanner_optional: bool,
}

/// Files lie where `files` says; rendered pictures always below the data directory.
///
/// # Errors
/// When a folder cannot be made, or an address makes no sense.
pub async fn machinery(
    data: &DataDir,
    files: &FilesArgs,
    scanner: &ScannerArgs,
) -> anyhow::Result<Machinery> {
    let blobs = crate::files::store(data, files).await?;
    let root = data.path().join("pictures");
    let cache = Cache::open(root.clone(), PICTURES)
        .await
        .with_context(|| format!("rendered pictures cannot be kept in {}", root.display()))?;
    let renderer = Renderer::new(picture::Settings::default());
    let machinery = Machinery::new(blobs).with_pictures(Pictures::new(renderer, Some(cache)));
    let Some(address) = &scanner.scanner else { return Ok(machinery) };
    let manner = Manner { takes_unscanned: scanner.scanner_optional, ..Manner::default() };
    // The operator's own scanner may be anywhere.
    let http = outbound::Client::new(outbound::Reach::Anywhere)?;
    let place = place(address, scanner.scanner_token.as_deref())?;
    Ok(machinery.with_scanner(Scanner::new(place, manner, http)))
}

/// `clamd:/run/clamd.sock`, `clamd://host:3310`, or a URL.
fn place(address: &str, token: Option<&str>) -> anyhow::Result<Place> {
    if let Some(rest) = address.strip_prefix("clamd:") {
        return match rest.strip_prefix("//") {
            Some(host) if host.contains(':') && !host.starts_with('/') => {
                Ok(Place::ClamdAddress(host.to_owned()))
            }
            Some(path) if path.starts_with('/') => Ok(Place::ClamdSocket(path.into())),
            None if rest.starts_with('/') => Ok(Place::ClamdSocket(rest.into())),
            _ => bail!("--scanner: a clamd is clamd:/path/of/its/socket or clamd://host:port"),
        };
    }
    let url: http::Uri = address.parse().context("--scanner")?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        bail!("--scanner: the address begins with clamd:, http: or https:");
    }
    Ok(Place::Web { url, token: token.map(Into::into) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_have_three_kinds_of_addresses() {
        let of = |address| format!("{:?}", place(address, None).unwrap());
        assert_eq!(of("clamd:/run/clamd.sock"), r#"ClamdSocket("/run/clamd.sock")"#);
        assert_eq!(of("clamd:///run/clamd.sock"), r#"ClamdSocket("/run/clamd.sock")"#);
        assert_eq!(of("clamd://scanner:3310"), r#"ClamdAddress("scanner:3310")"#);
        assert!(of("https://scanner.internal/scan").starts_with("Web"));
        for bad in ["clamd:", "clamd://scanner", "run/clamd.sock", "ftp://x/", "", "clamd:x"] {
            assert!(place(bad, None).is_err(), "{bad}");
        }
    }
}
