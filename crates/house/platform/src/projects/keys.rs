//! The keys of a project, in clear: for its owner.

use crate::{Error, Platform};
use catalog::{KeyKind, StoredKey, secrets};
use model::{ProjectRef, role};
use serde::Serialize;

/// A project's keys. Not `Debug`, so that no log line shows them.
#[derive(Clone, Serialize)]
pub struct ProjectKeys {
    pub anon: String,
    pub service_role: String,
    pub publishable: String,
    pub secret: String,
    /// The secret of the legacy keys; empty when it was revoked.
    pub jwt_secret: String,
    /// The password of `postgres`; only a dedicated project has one.
    pub database_password: Option<String>,
}

/// The keys of a project.
///
/// # Errors
/// [`Error::NoProject`] when there is none, a seal's error when the master key is the wrong one.
pub async fn keys(platform: &Platform, reference: &ProjectRef) -> Result<ProjectKeys, Error> {
    let catalog = platform.catalog();
    let mut c = catalog.connection().await?;
    let stored = catalog::keys::key_list(&mut c, reference).await?;
    let reveal = |kind: KeyKind, role: &str| -> Result<String, Error> {
        let of_kind =
            |key: &&StoredKey| key.kind == kind && key.role == role && key.enabled && key.settings.is_empty();
        match stored.iter().find(of_kind) {
            Some(key) => Ok(catalog::keys::key_reveal(catalog.key(), reference, key)?),
            None => Ok(String::new()),
        }
    };
    if catalog::projects::project_find(&mut c, reference).await?.is_none() {
        return Err(Error::NoProject(reference.to_string()));
    }
    let secrets = secrets::jwt_secret_list(&mut c, catalog.key(), reference).await?;
    let password = secrets::secret_get(&mut c, catalog.key(), reference, secrets::DATABASE_PASSWORD);
    Ok(ProjectKeys {
        anon: reveal(KeyKind::Legacy, role::ANON)?,
        service_role: reveal(KeyKind::Legacy, role::SERVICE)?,
        publishable: reveal(KeyKind::Publishable, role::ANON)?,
        secret: reveal(KeyKind::Secret, role::SERVICE)?,
        jwt_secret: secrets.into_iter().next().unwrap_or_default(),
        database_password: password.await?,
    })
}
