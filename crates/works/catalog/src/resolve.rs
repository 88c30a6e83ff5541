//! Finding the project of a request: by ref, domain, key or slug, with all that the request path needs of it.

use crate::lookup_cache::{Known, LookupCache};
use crate::store::keys::{self, StoredKey};
use crate::store::projects;
use crate::store::signing_keys::{self, SigningKey};
use crate::{Catalog, Error, Project, bytea};
use model::ProjectRef;
use pg::{Config, Connection, text};
use std::sync::Arc;
use std::time::Duration;

/// By what a project is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lookup {
    Ref(ProjectRef),
    /// A domain of the project's own, in lower case.
    Domain(String),
    /// The SHA-256 of an API key.
    KeyHash([u8; 32]),
    Slug(String),
}

/// A project with its keys and secrets.
#[derive(Clone)]
pub struct Resolved {
    pub project: Project,
    /// The keys that verify tokens, the one that signs first.
    pub signing_keys: Vec<SigningKey>,
    /// The enabled keys.
    pub keys: Vec<StoredKey>,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolved").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Finds a project. Answers come from memory as long as the database would tell of changes.
    ///
    /// # Errors
    /// When the database does not answer, or the master key does not open the project's secrets.
    pub async fn resolve(&self, lookup: Lookup) -> Result<Option<Arc<Resolved>>, Error> {
        let generation = match self.inner.cache.get(&lookup) {
            Known::Project(project) => return Ok(Some(project)),
            Known::Nothing => return Ok(None),
            Known::Unknown(generation) => generation,
        };
        let mut connection = self.inner.lookups.get().await?;
        let found = match find(&mut connection, &lookup).await? {
            Some(reference) => self.load(&mut connection, &reference).await?.map(Arc::new),
            None => None,
        };
        self.inner.cache.put(lookup, found.as_ref(), generation);
        Ok(found)
    }

    /// Drops what is remembered of a project, at once. Other processes hear of the change from the database.
    pub fn forget(&self, project: &ProjectRef) {
        self.inner.cache.forget(project.as_str());
    }

    async fn load(&self, c: &mut Connection, reference: &ProjectRef) -> Result<Option<Resolved>, Error> {
        let Some(project) = projects::project_find(c, reference).await? else { return Ok(None) };
        let signing_keys = signing_keys::signing_key_list(c, self.key(), reference).await?;
        let mut keys = keys::key_list(c, reference).await?;
        keys.retain(|key| key.enabled);
        Ok(Some(Resolved { project, signing_keys, keys }))
    }
}

async fn find(c: &mut Connection, lookup: &Lookup) -> Result<Option<ProjectRef>, Error> {
    let (sql, value) = match lookup {
        Lookup::Ref(reference) => return Ok(Some(reference.clone())),
        Lookup::Domain(domain) => {
            ("select project_ref from catalog.domains where domain = $1 and status = 'active'", text(domain))
        }
        Lookup::KeyHash(hash) => {
            ("select project_ref from catalog.api_keys where hash = $1 and enabled", bytea(hash))
        }
        Lookup::Slug(slug) => ("select ref from catalog.projects where slug = $1", text(slug)),
    };
    let rows = c.query(sql, &[value]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let reference: String = row.get(0)?;
    reference
        .parse()
        .map(Some)
        .map_err(|_| Error::Database(pg::Error::Decode("not a project ref".to_owned())))
}

const CHANNEL: &str = "rowhouse_catalog";
/// The pause after a lost connection.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Listens for changes, for ever.
pub(crate) async fn watch(config: Config, cache: Arc<LookupCache>) {
    loop {
        if let Err(error) = listen(&config, &cache).await {
            tracing::warn!(%error, "the catalog does not announce changes; lookups are not cached meanwhile");
        }
        cache.set_listening(false);
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn listen(config: &Config, cache: &LookupCache) -> Result<(), pg::Error> {
    let mut connection = Connection::connect(config).await?;
    connection.batch(&format!("listen {CHANNEL}")).await?;
    cache.set_listening(true);
    loop {
        let announced = connection.notification().await?;
        cache.forget(&announced.payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectStatus;
    use model::{OrgId, Tenancy};

    fn resolved(letter: char) -> Arc<Resolved> {
        let reference: ProjectRef = letter.to_string().repeat(20).parse().unwrap();
        Arc::new(Resolved {
            project: Project {
                reference,
                slug: letter.to_string(),
                name: letter.to_string(),
                organization_id: OrgId(uuid::Uuid::nil()),
                tenancy: Tenancy::Pooled,
                app_id: None,
                shard: None,
                instance_id: None,
                status: ProjectStatus::ActiveHealthy,
                settings: serde_json::Map::new(),
                created_at: String::new(),
                updated_at: String::new(),
            },
            signing_keys: Vec::new(),
            keys: Vec::new(),
        })
    }

    fn generation(cache: &LookupCache, lookup: &Lookup) -> u64 {
        match cache.get(lookup) {
            Known::Unknown(generation) => generation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_kept_without_announcements() {
        let cache = LookupCache::default();
        let lookup = Lookup::Slug("a".to_owned());
        cache.put(lookup.clone(), Some(&resolved('a')), 0);
        assert!(matches!(cache.get(&lookup), Known::Unknown(_)));
    }

    #[test]
    fn a_change_drops_the_project_and_every_nothing() {
        let cache = LookupCache::default();
        cache.set_listening(true);
        let (a, b, none) =
            (Lookup::Slug("a".into()), Lookup::Slug("b".into()), Lookup::Domain("x.test".into()));
        let now = generation(&cache, &a);
        cache.put(a.clone(), Some(&resolved('a')), now);
        cache.put(b.clone(), Some(&resolved('b')), now);
        cache.put(none.clone(), None, now);
        assert!(matches!(cache.get(&none), Known::Nothing));
        cache.forget(&"a".repeat(20));
        assert!(matches!(cache.get(&a), Known::Unknown(_)));
        assert!(matches!(cache.get(&none), Known::Unknown(_)));
        assert!(matches!(cache.get(&b), Known::Project(_)));
    }

    #[test]
    fn an_answer_older_than_a_change_is_not_kept() {
        let cache = LookupCache::default();
        cache.set_listening(true);
        let lookup = Lookup::Slug("a".to_owned());
        let before = generation(&cache, &lookup);
        cache.forget(&"a".repeat(20));
        cache.put(lookup.clone(), Some(&resolved('a')), before);
        assert!(matches!(cache.get(&lookup), Known::Unknown(_)));
    }
}
