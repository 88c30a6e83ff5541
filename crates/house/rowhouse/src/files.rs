//! Where the files of all projects are.

use crate::data_dir::DataDir;
use anyhow::Context;

/// What storage needs of the machine: files lie below the data directory.
///
/// # Errors
/// When the folder cannot be made.
pub async fn machinery(data: &DataDir) -> anyhow::Result<storage::Machinery> {
    let root = data.path().join("files");
    let blobs = blob::Store::disk(root.clone(), blob::Durability::Fsync)
        .await
        .with_context(|| format!("files cannot be kept in {}", root.display()))?;
    Ok(storage::Machinery { blobs })
}
