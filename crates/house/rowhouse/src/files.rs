//! Where the files of all projects are.

use crate::data_dir::DataDir;
use anyhow::{Context, bail};
use blob::{Azure, Durability, Gcs, S3, Store};
use clap::Args;
use std::path::PathBuf;

/// Where the files of projects are.
#[derive(Debug, Args, Clone, Default)]
pub struct FilesArgs {
    /// Where files are: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or azure://ACCOUNT/CONTAINER/PREFIX [default: the data
    /// directory]
    #[arg(long = "files", value_name = "URL", env = "ROWHOUSE_FILES")]
    pub url: Option<String>,
    /// The server of that object store, if it is not Amazon's, Google's or Microsoft's own
    #[arg(long = "files-endpoint", value_name = "URL", env = "ROWHOUSE_FILES_ENDPOINT")]
    pub endpoint: Option<String>,
    /// The region of the bucket
    #[arg(
        long = "files-region",
        value_name = "REGION",
        default_value = "us-east-1",
        env = "ROWHOUSE_FILES_REGION"
    )]
    pub region: String,
    /// The access key of S3
    #[arg(long = "files-access-key", value_name = "KEY", env = "ROWHOUSE_FILES_ACCESS_KEY")]
    pub access_key: Option<String>,
    /// A file with the secret: the secret key of S3, the service account of Google (JSON), the access key of Azure
    #[arg(long = "files-secret-file", value_name = "FILE", env = "ROWHOUSE_FILES_SECRET_FILE")]
    pub secret_file: Option<PathBuf>,
    /// Speak to that server without TLS if its URL says so
    #[arg(long = "files-allow-http")]
    pub allow_http: bool,
    /// Answer uploads before they are on the disk, for files that can be made again: a crash of the machine may lose
    /// or empty the last ones
    #[arg(long = "files-no-sync", env = "ROWHOUSE_FILES_NO_SYNC")]
    pub no_sync: bool,
}

/// Says in the data directory where the files of the platform are, for commands that run while it does not.
const PLACE_FILE: &str = "files.json";

/// The place of files: they lie below the data directory, or where the operator wants them.
///
/// # Errors
/// When the folder cannot be made, or the address of the object store makes no sense.
pub async fn store(data: &DataDir, args: &FilesArgs) -> anyhow::Result<Store> {
    if let Some(url) = &args.url {
        let secret = match &args.secret_file {
            Some(path) => tokio::fs::read_to_string(path).await.with_context(|| {
                format!("the secret of the object store cannot be read from {}", path.display())
            })?,
            None => String::new(),
        };
        return elsewhere(url, args, secret.trim()).context("the object store for files cannot be used");
    }
    let root = data.path().join("files");
    let durability = if args.no_sync { Durability::PageCache } else { Durability::Fsync };
    Store::disk(root.clone(), durability)
        .await
        .with_context(|| format!("files cannot be kept in {}", root.display()))
}

/// Leaves behind where files are.
///
/// # Errors
/// When the file cannot be written.
pub fn remember(data: &DataDir, args: &FilesArgs) -> anyhow::Result<()> {
    let text = serde_json::json!({ "url": args.url }).to_string();
    let path = data.path().join(PLACE_FILE);
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Makes sure that files are written where the platform looks for them, and by the user that it runs as.
///
/// # Errors
/// What is otherwise.
pub fn check(data: &DataDir, args: &FilesArgs) -> anyhow::Result<()> {
    let said = std::fs::read(data.path().join(PLACE_FILE)).ok();
    if let Some(said) = said.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok()) {
        let url = said.get("url").and_then(serde_json::Value::as_str);
        if url != args.url.as_deref() {
            let place = url.unwrap_or("its data directory");
            bail!("this platform keeps its files in {place}: say so with --files, or do this while it runs");
        }
    }
    use std::os::unix::fs::MetadataExt;
    if let Ok(there) = std::fs::metadata(data.path().join("files"))
        && there.uid() != rustix::process::geteuid().as_raw()
    {
        bail!(
            "the files of this platform belong to the user with the id {}: do this as that user, or while it runs",
            there.uid()
        );
    }
    Ok(())
}

/// The object store that an address such as `s3://bucket/prefix` names.
fn elsewhere(url: &str, args: &FilesArgs, secret: &str) -> anyhow::Result<Store> {
    let Some((scheme, rest)) = url.split_once("://") else {
        bail!("--files takes s3://, gs:// or azure:// addresses")
    };
    let (first, below) = rest.split_once('/').unwrap_or((rest, ""));
    if first.is_empty() {
        bail!("--files {scheme}:// names no bucket");
    }
    let (endpoint, secret) = (args.endpoint.clone(), secret.to_owned());
    let store = match scheme {
        "s3" => S3 {
            path_style: endpoint.is_some(),
            endpoint,
            region: args.region.clone(),
            bucket: first.to_owned(),
            access_key: args.access_key.clone().context("--files-access-key is missing")?,
            secret_key: secret,
            allow_http: args.allow_http,
            prefix: below.to_owned(),
            ..S3::default()
        }
        .store(),
        "gs" => {
            let prefix = below.to_owned();
            Gcs { bucket: first.to_owned(), service_account_key: secret, endpoint, prefix }.store()
        }
        "azure" => {
            let (container, prefix) = below.split_once('/').unwrap_or((below, ""));
            let (account, container) = (first.to_owned(), container.to_owned());
            let (prefix, allow_http) = (prefix.to_owned(), args.allow_http);
            Azure { account, access_key: secret, container, endpoint, allow_http, prefix }.store()
        }
        other => bail!("--files takes s3://, gs:// or azure:// addresses, not {other}://"),
    };
    Ok(store?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_object_stores() {
        let args = FilesArgs {
            access_key: Some("key".to_owned()),
            region: "eu-central-1".to_owned(),
            ..FilesArgs::default()
        };
        let opens = |url: &str, secret: &str| elsewhere(url, &args, secret).map(|store| format!("{store:?}"));
        assert_eq!(opens("s3://bucket/some/prefix", "secret").unwrap(), "Store(remote)");
        assert_eq!(opens("azure://account/container/prefix", "c2VjcmV0").unwrap(), "Store(remote)");
        for (url, secret) in [
            ("bucket", "s"),
            ("s3://", "s"),
            ("ftp://bucket", "s"),
            ("gs://bucket", "not JSON"),
            ("azure://a", "!"),
        ] {
            let refused = opens(url, secret).unwrap_err();
            assert!(!format!("{refused:#}").contains("not JSON"), "{refused:#}");
        }
        let plain = FilesArgs { endpoint: Some("http://127.0.0.1:9000".to_owned()), ..args.clone() };
        assert!(elsewhere("s3://bucket", &plain, "s").is_err(), "without TLS only if allowed");
        assert!(elsewhere("s3://bucket", &FilesArgs { allow_http: true, ..plain }, "s").is_ok());
    }
}
