//! Trying the hooks of a project from the command line.

use crate::desk::Desk;
use crate::wire::ProjectSettings;
use anyhow::{Context, bail};
use auth::{Auth, TrialError};
use model::{SystemClock, Tenancy};
use pg::{Pool, PoolOptions};
use serde_json::Value;
use std::sync::Arc;

impl Desk {
    /// Asks a hook with an example, and tells what came of it.
    pub(crate) async fn try_hook(
        &self,
        project: &str,
        hook: &str,
        user: Option<&str>,
    ) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        let catalog = self.platform.catalog();
        let settings = ProjectSettings::of(catalog, &found);
        let endpoint = self.platform.endpoint(&found).await?;
        let url = self.addresses.of(&found.reference);
        // Nothing is signed: no key is needed.
        let mut auth_settings = settings.auth(&endpoint, &[], &url);
        auth_settings.outbound = match &self.wire {
            Some(wire) => wire.outbound(),
            None => outbound::Client::new(outbound::Reach::Public)?,
        };
        let pool = Pool::new(endpoint.auth.clone(), PoolOptions { max: 1, ..PoolOptions::default() });
        let auth = Auth::new(auth_settings, pool.clone(), Arc::new(SystemClock));
        let tried = auth.try_hook(hook, user).await;
        pool.close();
        if let Err(TrialError::Unset(name)) = &tried
            && found.tenancy == Tenancy::Pooled
            && settings.auth.hook.functions().contains(name)
        {
            bail!("{name} is a function, which a pooled project cannot have: its database is shared");
        }
        let trial = tried.with_context(|| format!("nothing was tried in {}", found.reference))?;
        Ok(serde_json::to_value(trial)?)
    }
}
