//! What a dedicated project's own database says of its data API: `alter role authenticator set pgrst.db_max_rows = …`
//! and the settings of the roles of requests. `notify pgrst, 'reload config'` has them read again.

use super::databases::Database;
use super::home::Home;
use pg::Pool;
use rest::config::{ConfigError, RoleSettings, ServerConfig, Settings};
use std::sync::Weak;
use tokio_util::task::AbortOnDropHandle;

/// The settings in a database.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InDatabase {
    settings: Vec<(String, String)>,
    roles: Vec<RoleSettings>,
}

impl InDatabase {
    pub(super) async fn read(pool: &Pool) -> Result<Self, pg::Error> {
        let mut connection = pool.get().await?;
        let settings = rest::config::database::settings(&mut connection, None).await?;
        let roles = rest::config::database::roles(&mut connection).await?;
        Ok(InDatabase { settings, roles })
    }

    /// Only roles: in a shard nobody may change what the data API of all its projects shows.
    pub(super) fn of_shard(self) -> Self {
        InDatabase { settings: Vec::new(), ..self }
    }

    /// The settings with what the database says on top. What makes no sense there is as if it were not there.
    pub(super) async fn over(&self, mut base: Settings) -> Settings {
        base.role_settings.clone_from(&self.roles);
        if self.settings.is_empty() {
            return base;
        }
        match self.merged(&base).await {
            // Secrets and the gateway's limits are not the database's to change.
            Ok(merged) => Settings {
                jwt_secret: base.jwt_secret,
                jwt_secret_is_base64: base.jwt_secret_is_base64,
                body_bytes_max: base.body_bytes_max,
                extra_settings: base.extra_settings,
                ..merged
            },
            Err(error) => {
                tracing::warn!(%error, "the settings in the database are not usable");
                base
            }
        }
    }

    /// Read by the names and rules of PostgREST's configuration.
    async fn merged(&self, base: &Settings) -> Result<Settings, ConfigError> {
        let variable = |name: &str, value: String| (format!("PGRST_{name}"), value);
        let ours = [
            variable("DB_SCHEMAS", base.db_schemas.join(",")),
            variable("DB_EXTRA_SEARCH_PATH", base.db_extra_search_path.join(",")),
            variable("DB_ANON_ROLE", base.db_anon_role.clone().unwrap_or_default()),
            variable("DB_MAX_ROWS", base.db_max_rows.map(|max| max.to_string()).unwrap_or_default()),
            variable("OPENAPI_SERVER_PROXY_URI", base.openapi_server_proxy_uri.clone().unwrap_or_default()),
            variable("OPENAPI_SECURITY_ACTIVE", base.openapi_security_active.to_string()),
        ];
        let ours = ours.into_iter().filter(|(_, value)| !value.is_empty());
        let config = ServerConfig::load(None, ours).await?;
        Ok(config.with_database(self.settings.clone(), self.roles.clone()).await?.settings)
    }
}

/// Has the services made anew when the database says something else than when they were made.
pub(super) fn watch(database: &Database, used: InDatabase, home: Weak<Home>) -> AbortOnDropHandle<()> {
    let (changed, pool) = (database.listener.config_changed(), database.rest.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            changed.notified().await;
            match InDatabase::read(&pool).await {
                Ok(now) if now == used => {}
                Ok(_) => break,
                Err(error) => tracing::warn!(%error, "the settings in the database cannot be read"),
            }
        }
        if let Some(home) = home.upgrade() {
            home.close();
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> InDatabase {
        InDatabase { settings: vec![(name.to_owned(), value.to_owned())], roles: Vec::new() }
    }

    #[tokio::test]
    async fn the_database_wins_but_for_secrets() {
        let base = Settings {
            db_schemas: vec!["public".to_owned(), "graphql_public".to_owned()],
            db_max_rows: Some(1000),
            jwt_secret: Some(b"ours".to_vec()),
            ..Settings::default()
        };
        let merged = said("db_max_rows", "7").over(base.clone()).await;
        assert_eq!((merged.db_max_rows, &merged.db_schemas), (Some(7), &base.db_schemas));
        let merged = said("db_aggregates_enabled", "true").over(base.clone()).await;
        assert!(merged.db_aggregates_enabled);
        let merged =
            said("jwt_secret", "a secret that is at least 32 characters long").over(base.clone()).await;
        assert_eq!(merged.jwt_secret, base.jwt_secret);
        let merged = said("openapi_mode", "nonsense").over(base.clone()).await;
        assert_eq!(merged.db_max_rows, Some(1000));
    }
}
