//! Creating a project: first everything that is only catalog, in one transaction, then the steps of a job.

use crate::provision::{self, Running};
use crate::{Error, Platform};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use catalog::secrets::{self, NamedSecret};
use catalog::{JobKind, KeyKind, NewKey, Project};
use model::{ProjectRef, Tenancy, role};
use pg::Connection;
use serde_json::{Map, Value, json};
use token::{KeySet, OpaqueKind};

/// Which keys a project gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyChoice {
    /// Keys of its own.
    #[default]
    Generated,
    /// The well-known keys of a local stack: for `rowhouse start` only.
    Local,
}

/// What a new project is to be.
#[derive(Clone)]
pub struct NewProject {
    pub name: String,
    pub tenancy: Tenancy,
    /// Unique on the platform; made from the name when missing.
    pub slug: Option<String>,
    /// The slug of the owning organization, made when missing.
    pub organization: String,
    pub reference: Option<ProjectRef>,
    pub jwt_secret: Option<String>,
    /// The password of `postgres` in a dedicated project.
    pub database_password: Option<String>,
    pub keys: KeyChoice,
    pub settings: Map<String, Value>,
    /// Who is responsible, for the audit log.
    pub actor: String,
}

/// The organization of projects that are created without one.
pub const DEFAULT_ORGANIZATION: &str = "default";
/// The shortest secret that may sign tokens.
const JWT_SECRET_BYTES_MIN: usize = 32;
const NAME_CHARS_MAX: usize = 256;
const SLUG_BYTES_MAX: usize = 63;
/// Legacy keys are valid for ten years, as Supabase's are.
const LEGACY_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

impl NewProject {
    /// A project with generated everything, in the default organization.
    pub fn new(name: impl Into<String>, tenancy: Tenancy) -> Self {
        NewProject {
            name: name.into(),
            tenancy,
            slug: None,
            organization: DEFAULT_ORGANIZATION.to_owned(),
            reference: None,
            jwt_secret: None,
            database_password: None,
            keys: KeyChoice::Generated,
            settings: Map::new(),
            actor: "operator".to_owned(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |field, reason: &str| Err(Error::Invalid { field, reason: reason.to_owned() });
        let length = self.name.trim().chars().count();
        if length == 0 || length > NAME_CHARS_MAX || self.name.chars().any(char::is_control) {
            return invalid("name", "must have 1 to 256 characters and no control characters");
        }
        if let Some(slug) = &self.slug
            && (slug.is_empty() || slug.len() > SLUG_BYTES_MAX || slugged(slug) != *slug)
        {
            return invalid("slug", "must have 1 to 63 of a-z, 0-9 and -, and no - at either end");
        }
        if self.organization.is_empty() || slugged(&self.organization) != self.organization {
            return invalid("organization", "must be a slug: a-z, 0-9 and -");
        }
        if self.jwt_secret.as_ref().is_some_and(|s| s.len() < JWT_SECRET_BYTES_MIN) {
            return invalid("jwt_secret", "must have at least 32 characters");
        }
        if self.database_password.as_ref().is_some_and(|p| p.is_empty() || p.contains('\0')) {
            return invalid("database_password", "must not be empty");
        }
        Ok(())
    }
}

/// Creates a project and waits until it can be used.
///
/// # Errors
/// [`Error::Invalid`] for unusable values, [`catalog::Error::Taken`] for a ref or slug in use; whatever else
/// fails is undone before the error is returned.
pub async fn create(platform: &Platform, new: NewProject) -> Result<Project, Error> {
    new.check()?;
    let owned = platform.clone();
    platform.detached(async move { create_now(&owned, new).await }).await
}

async fn create_now(platform: &Platform, new: NewProject) -> Result<Project, Error> {
    let _permit = platform.inner.jobs.acquire().await.map_err(|_| Error::Interrupted)?;
    let reference = new.reference.clone().unwrap_or_else(|| ProjectRef::from_random(token::random_bytes()));
    let _running = Running::begin(platform, &reference)?;
    let job = record(platform, &new, &reference).await?;
    platform.inner.failpoints.hit("create.recorded")?;
    provision::run(platform, job).await?;
    let mut c = platform.catalog().connection().await?;
    let made = catalog::projects::project_find(&mut c, &reference).await?;
    made.ok_or_else(|| Error::NoProject(reference.to_string()))
}

async fn record(
    platform: &Platform,
    new: &NewProject,
    reference: &ProjectRef,
) -> Result<catalog::Job, Error> {
    let master = platform.catalog().key();
    let secret = new.jwt_secret.clone().unwrap_or_else(|| B64.encode(token::random_bytes::<48>()));
    let keys = new_keys(platform, new.keys, reference, &secret)?;
    let password = new.database_password.clone().unwrap_or_else(random_password);

    let mut c = platform.catalog().connection().await?;
    let mut tx = c.begin().await?;
    let c = tx.connection();
    refuse_mixture(platform, c, new.tenancy).await?;
    let owner = catalog::organizations::organization_ensure(c, &new.organization, &new.organization).await?;
    let row = catalog::NewProject {
        reference: reference.clone(),
        slug: new.slug.clone().unwrap_or_else(|| slug_of(&new.name, reference)),
        name: new.name.trim().to_owned(),
        organization: owner.id,
        tenancy: new.tenancy,
        settings: new.settings.clone(),
    };
    catalog::projects::project_insert(c, &row).await?;
    secrets::jwt_secret_ensure(c, master, reference, &secret).await?;
    let signing_key = (new.keys == KeyChoice::Local).then(token::local_signing_jwk);
    super::signing_keys::first(c, platform, reference, signing_key).await?;
    if new.tenancy == Tenancy::Dedicated {
        let secret = NamedSecret { name: secrets::DATABASE_PASSWORD, value: &password, replace: false };
        secrets::secret_put(c, master, reference, secret).await?;
    }
    for key in &keys {
        catalog::keys::key_ensure(c, master, reference, key).await?;
    }
    let details = json!({ "name": row.name, "tenancy": new.tenancy.as_str() });
    let details = details.as_object().cloned().unwrap_or_default();
    catalog::audit::audit_write(c, &new.actor, "project.create", reference, &details).await?;
    let input = json!({ "actor": new.actor });
    let job = catalog::jobs::job_insert(c, JobKind::CreateProject, reference, &input).await?;
    tx.commit().await?;
    platform.catalog().forget(reference);
    Ok(job)
}

/// On a server that is not ours there are pooled projects or one dedicated project.
async fn refuse_mixture(platform: &Platform, c: &mut Connection, tenancy: Tenancy) -> Result<(), Error> {
    if platform.inner.servers.external().is_none() {
        return Ok(());
    }
    // Two at once must not both find nothing.
    c.query("lock table catalog.projects in share row exclusive mode", &[]).await?;
    let sql = "select exists (select from catalog.projects where tenancy = 'dedicated' or $1 = 'dedicated')";
    let others: bool = c.query(sql, &[pg::text(tenancy.as_str())]).await?.one()?.get(0)?;
    if others {
        return Err(Error::WrongTenancy(
            "an external server holds either pooled projects or one dedicated project",
        ));
    }
    Ok(())
}

fn new_keys(
    platform: &Platform,
    choice: KeyChoice,
    reference: &ProjectRef,
    secret: &str,
) -> Result<Vec<NewKey>, Error> {
    let now = platform.inner.clock.unix_seconds();
    let signing = KeySet::from_secret(secret.as_bytes());
    let legacy = |role: &str| match choice {
        KeyChoice::Local => Ok(token::demo_key(secret.as_bytes(), role)),
        KeyChoice::Generated => {
            token::legacy_key(&signing, reference.as_str(), role, now, now + LEGACY_SECONDS)
                .map_err(|e| Error::Invalid { field: "jwt_secret", reason: e.to_string() })
        }
    };
    let opaque = |kind| match (choice, kind) {
        (KeyChoice::Generated, kind) => token::new_opaque(kind, reference.as_str()),
        (KeyChoice::Local, OpaqueKind::Publishable) => token::LOCAL_PUBLISHABLE_KEY.to_owned(),
        (KeyChoice::Local, OpaqueKind::Secret) => token::LOCAL_SECRET_KEY.to_owned(),
    };
    let key = |kind, name: &str, role: &str, key| NewKey {
        kind,
        name: name.to_owned(),
        role: role.to_owned(),
        key,
    };
    Ok(vec![
        key(KeyKind::Legacy, "anon", role::ANON, legacy(role::ANON)?),
        key(KeyKind::Legacy, "service_role", role::SERVICE, legacy(role::SERVICE)?),
        key(KeyKind::Publishable, "default", role::ANON, opaque(OpaqueKind::Publishable)),
        key(KeyKind::Secret, "default", role::SERVICE, opaque(OpaqueKind::Secret)),
    ])
}

/// 24 random bytes, without characters that URLs would have to encode.
fn random_password() -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token::random_bytes::<24>())
}

/// The name as a slug, with the ref's beginning so that names may repeat.
fn slug_of(name: &str, reference: &ProjectRef) -> String {
    let mut slug: String = slugged(name).chars().take(SLUG_BYTES_MAX - 9).collect();
    if !slug.is_empty() {
        slug.push('-');
    }
    slug.push_str(&reference.as_str()[..8]);
    slug.replace("--", "-")
}

fn slugged(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_made_of_names() {
        let reference: ProjectRef = "abcdefghijklmnopqrst".parse().unwrap();
        assert_eq!(slug_of("My E-commerce Backend!", &reference), "my-e-commerce-backend-abcdefgh");
        assert_eq!(slug_of("äöü", &reference), "abcdefgh");
        let long = slug_of(&"x".repeat(300), &reference);
        assert!(long.len() <= SLUG_BYTES_MAX, "{long}");
    }

    #[test]
    fn unusable_values_are_named() {
        let new = |change: fn(&mut NewProject)| {
            let mut new = NewProject::new("name", Tenancy::Pooled);
            change(&mut new);
            match new.check() {
                Err(Error::Invalid { field, .. }) => Some(field),
                _ => None,
            }
        };
        assert_eq!(new(|_| {}), None);
        assert_eq!(new(|n| n.name = " ".into()), Some("name"));
        assert_eq!(new(|n| n.name = "a\nb".into()), Some("name"));
        assert_eq!(new(|n| n.slug = Some("A".into())), Some("slug"));
        assert_eq!(new(|n| n.slug = Some("-a".into())), Some("slug"));
        assert_eq!(new(|n| n.organization = String::new()), Some("organization"));
        assert_eq!(new(|n| n.jwt_secret = Some("short".into())), Some("jwt_secret"));
        assert_eq!(new(|n| n.database_password = Some(String::new())), Some("database_password"));
    }
}
