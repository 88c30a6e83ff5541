//! What the command line does with files of elsewhere: finds the folder that is meant, and has storage take them.

use crate::admin::Teller;
use crate::desk::Desk;
use anyhow::{Context, bail};
use blob::{S3, Source};
use model::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;
use storage::import::{Layout, Plan};
use tokio::sync::mpsc;

/// What the reference's file backend has beside the folder of its bucket.
const PARTS: &str = "multiparts";
/// Folders that are named when somebody has to choose.
const NAMED_MAX: usize = 10;
/// News on their way from storage to the teller.
const NEWS: usize = 16;

/// An import that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FilesImport {
    /// A ref or slug.
    pub project: String,
    pub origin: Origin,
    /// Which of several.
    pub tenant: Option<String>,
    pub plan: Plan,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A directory, as its whole path.
    Tree(PathBuf),
    /// A bucket of S3.
    Bucket {
        bucket: String,
        prefix: String,
        endpoint: Option<String>,
        region: String,
        access_key: String,
        secret_key: Secret,
        allow_http: bool,
    },
}

impl Default for Origin {
    fn default() -> Self {
        Origin::Tree(PathBuf::new())
    }
}

impl Origin {
    async fn open(&self) -> anyhow::Result<Source> {
        match self {
            Origin::Tree(path) => {
                let what = || format!("{} cannot be read by Rowhouse", path.display());
                Source::tree(path.clone()).await.with_context(what)
            }
            Origin::Bucket { bucket, prefix, endpoint, region, access_key, secret_key, allow_http } => {
                let settings = S3 {
                    path_style: endpoint.is_some(),
                    endpoint: endpoint.clone(),
                    region: region.clone(),
                    bucket: bucket.clone(),
                    access_key: access_key.clone(),
                    secret_key: secret_key.expose().to_owned(),
                    allow_http: *allow_http,
                    prefix: prefix.clone(),
                    ..S3::default()
                };
                Source::bucket(&settings).context("the bucket with the files cannot be used")
            }
        }
    }
}

impl Desk {
    /// Brings files here, telling how it goes; what became of them.
    pub(crate) async fn import_files(&self, import: FilesImport, teller: Teller) -> anyhow::Result<Value> {
        let found = self.find(&import.project).await?;
        let wire = self.wire.as_ref().context("files are out of reach here")?;
        let source = import.origin.open().await?;
        let (source, folder) = match import.plan.layout {
            Layout::Plain => (source, String::new()),
            Layout::Versions => {
                let has_internal = matches!(import.origin, Origin::Tree(_));
                tenant_folder(source, has_internal, import.tenant.as_deref()).await?
            }
        };
        teller.tell(json!({ "from": folder })).await;
        let (news, mut told) = mpsc::channel(NEWS);
        let work = async move { wire.import_files(&found.reference, &source, import.plan, &news).await };
        let relay = async move {
            while let Some(news) = told.recv().await {
                let Ok(news) = serde_json::to_value(news) else { continue };
                if !teller.tell(news).await {
                    return;
                }
            }
        };
        let (counts, ()) = tokio::join!(Box::pin(work), relay);
        Ok(serde_json::to_value(counts?)?)
    }
}

/// The folder with the buckets of one tenant, and its name. In a tree it lies in that of the internal bucket.
async fn tenant_folder(
    root: Source,
    has_internal: bool,
    wanted: Option<&str>,
) -> anyhow::Result<(Source, String)> {
    let outer = if has_internal {
        let mut outer = Vec::new();
        for name in root.folders().await?.into_iter().filter(|name| name != PARTS) {
            outer.push((root.folder(&name).await?, name + "/"));
        }
        outer
    } else {
        vec![(root, String::new())]
    };
    let mut found = Vec::new();
    for (folder, path) in outer {
        for name in folder.folders().await? {
            let whole = [&*path, &*name].concat();
            if wanted.is_none_or(|wanted| wanted == name || wanted == whole) {
                found.push((folder.folder(&name).await?, whole));
            }
            if found.len() > NAMED_MAX {
                break;
            }
        }
    }
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().take(NAMED_MAX).map(|(_, name)| name.as_str()).collect();
        bail!("there are several tenants; choose one with --tenant: {}", names.join(", "));
    }
    found.pop().with_context(|| match wanted {
        Some(name) => format!("there is no tenant {name} in the source"),
        None => "there is no tenant's folder in the source; is it what STORAGE_FILE_BACKEND_PATH names? For a tree \
                 of BUCKET/KEY say --plain"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_folder_of_a_tenant_is_found_or_chosen() {
        let root = std::env::temp_dir().join(format!("rowhouse-importing-{}", std::process::id()));
        let make = |path: &str| std::fs::create_dir_all(root.join(path)).unwrap();
        let find = async |wanted: Option<&str>| {
            let source = Source::tree(root.clone()).await.unwrap();
            tenant_folder(source, true, wanted).await.map(|(_, name)| name)
        };
        make("multiparts/upload");
        assert!(find(None).await.unwrap_err().to_string().contains("--plain"));
        make("stub/one/bucket");
        assert_eq!(find(None).await.unwrap(), "stub/one");
        make("stub/two/bucket");
        assert!(find(None).await.unwrap_err().to_string().contains("stub/one, stub/two"));
        assert_eq!(find(Some("two")).await.unwrap(), "stub/two");
        assert_eq!(find(Some("stub/one")).await.unwrap(), "stub/one");
        assert!(find(Some("three")).await.unwrap_err().to_string().contains("no tenant three"));
        let source = Source::tree(root.join("stub")).await.unwrap();
        assert_eq!(tenant_folder(source, false, Some("one")).await.unwrap().1, "one");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn secrets_travel_and_are_not_shown() {
        let origin = Origin::Bucket {
            bucket: "b".to_owned(),
            prefix: String::new(),
            endpoint: None,
            region: "r".to_owned(),
            access_key: "key".to_owned(),
            secret_key: "hidden".into(),
            allow_http: false,
        };
        let there: Origin = serde_json::from_value(serde_json::to_value(&origin).unwrap()).unwrap();
        assert!(there == origin && !format!("{origin:?}").contains("hidden"));
    }
}
