//! The buckets that `config.toml` names, made when the local stack starts: with the files that lie in their folders.

use crate::config::BucketSection;
use crate::wire::Wire;
use axum::body::Body;
use futures_util::StreamExt;
use http::{Method, Request, StatusCode, header};
use model::{Caller, ProjectRef, role};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How many files of a bucket's folder are uploaded; the rest is named in a warning.
const FILES_MAX: usize = 10_000;

/// Makes the buckets, or brings them to what the file says. What cannot be done is warned of: the stack runs
/// without it.
pub async fn buckets(wire: &Wire, project: &ProjectRef, folder: &Path, buckets: &[BucketSection]) {
    for bucket in buckets {
        if let Err(error) = seed(wire, project, folder, bucket).await {
            tracing::warn!(bucket = bucket.name, "the bucket is not as the configuration says: {error:#}");
        }
    }
}

async fn seed(
    wire: &Wire,
    project: &ProjectRef,
    folder: &Path,
    bucket: &BucketSection,
) -> anyhow::Result<()> {
    let mut wanted = json!({
        "public": bucket.public.unwrap_or_default(),
        "file_size_limit": bucket.file_size_limit,
        "allowed_mime_types": bucket.allowed_mime_types,
    });
    let path = format!("/bucket/{}", percent(&bucket.name));
    let there =
        call(wire, project, Method::PUT, &path, "application/json", Body::from(wanted.to_string())).await;
    if there.is_err() {
        wanted["name"] = Value::from(bucket.name.as_str());
        call(wire, project, Method::POST, "/bucket", "application/json", Body::from(wanted.to_string()))
            .await?;
    }
    let Some(objects) = &bucket.objects_path else { return Ok(()) };
    let root = folder.join(objects);
    let files = tokio::task::spawn_blocking(move || files_below(&root).map(|files| (root, files))).await??;
    let (root, files) = files;
    if files.len() > FILES_MAX {
        tracing::warn!(bucket = bucket.name, "only {FILES_MAX} files of its folder are uploaded");
    }
    let uploads =
        files.into_iter().take(FILES_MAX).map(|file| upload(wire, project, &bucket.name, &root, file));
    let mut done = futures_util::stream::iter(uploads).buffer_unordered(4);
    while let Some(result) = done.next().await {
        result?;
    }
    Ok(())
}

async fn upload(
    wire: &Wire,
    project: &ProjectRef,
    bucket: &str,
    root: &Path,
    file: PathBuf,
) -> anyhow::Result<()> {
    let key = file.strip_prefix(root)?.to_string_lossy().into_owned();
    let bytes = tokio::fs::read(&file).await?;
    let segments: Vec<String> = key.split('/').map(percent).collect();
    let path = format!("/object/{}/{}", percent(bucket), segments.join("/"));
    let mime = storage::mime_of_name(&key).unwrap_or("application/octet-stream");
    call(wire, project, Method::PUT, &path, mime, Body::from(bytes)).await.map_err(|error| error.context(key))
}

/// A request to the project's storage in the service's name.
async fn call(
    wire: &Wire,
    project: &ProjectRef,
    method: Method,
    path: &str,
    content_type: &str,
    body: Body,
) -> anyhow::Result<()> {
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, content_type);
    let request = request.extension(Caller::of_role(role::SERVICE)).body(body)?;
    let response = wire.storage(project, request).await?;
    if response.status() == StatusCode::OK {
        return Ok(());
    }
    let body = axum::body::to_bytes(response.into_body(), 64 * 1024).await?;
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    anyhow::bail!("{}", said.get("message").and_then(Value::as_str).unwrap_or("storage refused it"))
}

fn percent(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The files below a folder, links and what begins with a dot left out.
fn files_below(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            match entry.file_name().to_string_lossy().starts_with('.') {
                true => {}
                false if kind.is_dir() => folders.push(entry.path()),
                false if kind.is_file() && files.len() <= FILES_MAX => files.push(entry.path()),
                false => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_folders_and_links_are_not_followed() {
        let root = std::env::temp_dir().join(format!("rowhouse-seeding-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["x.txt", "a/b/y.PNG", "a/.hidden"] {
            std::fs::write(root.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("/", root.join("link")).unwrap();
        let found = files_below(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        let names: Vec<_> = found.iter().map(|f| f.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a/b/y.PNG", "x.txt"]);
    }
}
