//! Projects: created, found, shown, deleted; their keys and what a front-end needs of them.

mod bound_keys;
mod create;
mod delete;
mod environment;
mod keys;
pub mod signing_keys;

pub use bound_keys::{KEYS_MAX, MadeKey, NewBoundKey, key_create, key_delete, key_list};
pub use create::{KeyChoice, NewProject, create};
pub use delete::delete;
pub use environment::{EnvFormat, environment};
pub use keys::{ProjectKeys, keys};

use crate::{Error, Platform};
use catalog::Project;
use model::ProjectRef;

/// How many projects one page of a list has at most.
pub const PAGE_MAX: u32 = 1000;

/// Projects, oldest first, at most [`PAGE_MAX`] of them after the project `after`.
///
/// # Errors
/// When the catalog does not answer.
pub async fn list(platform: &Platform, after: Option<&ProjectRef>) -> Result<Vec<Project>, Error> {
    let mut c = platform.catalog().connection().await?;
    Ok(catalog::projects::project_list(&mut c, after, PAGE_MAX).await?)
}

/// How many projects there are.
///
/// # Errors
/// When the catalog does not answer.
pub async fn count(platform: &Platform) -> Result<u64, Error> {
    let mut c = platform.catalog().connection().await?;
    Ok(catalog::projects::project_count(&mut c).await?)
}

/// The project with this ref, slug or (if it is the only one) name.
///
/// # Errors
/// [`Error::NoProject`] when there is none.
pub async fn show(platform: &Platform, name: &str) -> Result<Project, Error> {
    let mut c = platform.catalog().connection().await?;
    let found = catalog::projects::project_find_named(&mut c, name).await?;
    found.ok_or_else(|| Error::NoProject(name.to_owned()))
}
