//! Performs the operations of the command line on an open platform, whether or not its doors are open too.

use crate::admin::{Operation, Perform, Teller};
use crate::local::LocalProject;
use crate::wire::{Addresses, Wire};
use anyhow::{Context, bail};
use gateway::BoxFuture;
use model::Bound;
use platform::projects::{self, EnvFormat, NewBoundKey, NewProject};
use platform::{Platform, Project};
use serde_json::{Map, Value, json};
use token::OpaqueKind;

/// How many projects a list shows at most.
const LIST_MAX: usize = 100_000;
/// Who is named in the audit log.
pub(crate) const ACTOR: &str = "command line";

/// The desk of a platform.
#[derive(Clone)]
pub struct Desk {
    pub platform: Platform,
    pub addresses: Addresses,
    /// What is to forget projects that change, when the doors are open.
    pub wire: Option<Wire>,
    /// The project of `start`.
    pub local: Option<LocalProject>,
    /// What `status` says.
    pub values: Map<String, Value>,
}

impl Perform for Desk {
    fn perform(&self, operation: Operation, teller: Teller) -> BoxFuture<'_, anyhow::Result<Value>> {
        Box::pin(async move {
            match operation {
                Operation::Status => Ok(self.status()),
                Operation::ResetDatabase => self.reset().await,
                Operation::CreateProject { name, tenancy } => self.create(name, tenancy).await,
                Operation::ListProjects => self.list().await,
                Operation::ShowProject { project } => Ok(self.shown(&self.find(&project).await?)),
                Operation::DeleteProject { project } => self.delete(&project).await,
                Operation::ProjectKeys { project } => self.keys(&project).await,
                Operation::ProjectUsage { project, days } => self.usage(&project, days).await,
                Operation::ImportUsers { project, users } => self.import_users(&project, &users).await,
                Operation::ExportUsers { project, after } => self.export_users(&project, after).await,
                Operation::ImportFiles(import) => self.import_files(import, teller).await,
                Operation::SigningKeys { project, action } => self.signing_keys(&project, action).await,
                Operation::CreateKey { project, name, secret, settings, claims } => {
                    let bound = Bound::new(settings, claims)?;
                    let kind = if secret { OpaqueKind::Secret } else { OpaqueKind::Publishable };
                    let actor = ACTOR.to_owned();
                    self.create_key(&project, NewBoundKey { kind, name, bound, actor }).await
                }
                Operation::ListKeys { project } => {
                    let found = self.find(&project).await?;
                    Ok(serde_json::to_value(projects::key_list(&self.platform, &found.reference).await?)?)
                }
                Operation::DeleteKey { project, key } => {
                    let found = self.find(&project).await?;
                    let gone = projects::key_delete(&self.platform, &found.reference, &key, ACTOR).await?;
                    Ok(serde_json::to_value(gone)?)
                }
                Operation::TryHook { project, hook, user } => {
                    self.try_hook(&project, &hook, user.as_deref()).await
                }
                Operation::S3Keys { project, action } => self.s3_keys(&project, action).await,
                Operation::Settings { project, action } => self.settings(&project, action).await,
                Operation::ProjectEnvironment { project, format } => {
                    self.environment(&project, &format).await
                }
                Operation::ApplyEntities { project, model, allow_destructive } => {
                    self.apply_entities(&project, &model, allow_destructive).await
                }
            }
        })
    }
}

impl Desk {
    fn status(&self) -> Value {
        json!({
            "kind": if self.local.is_some() { "start" } else { "serve" },
            "process": std::process::id(),
            "values": self.values,
        })
    }

    pub(crate) async fn find(&self, project: &str) -> anyhow::Result<Project> {
        Ok(projects::show(&self.platform, project).await?)
    }

    /// A project as the command line shows it.
    fn shown(&self, project: &Project) -> Value {
        json!({
            "ref": project.reference,
            "slug": project.slug,
            "name": project.name,
            "tenancy": project.tenancy,
            "app_id": project.app_id,
            "shard": project.shard,
            "status": project.status,
            "created_at": project.created_at,
            "url": self.addresses.of(&project.reference),
        })
    }

    async fn create(&self, name: String, tenancy: model::Tenancy) -> anyhow::Result<Value> {
        if self.local.is_some() {
            bail!(
                "this is a local stack of one project; projects are created on a platform (rowhouse serve)"
            );
        }
        let mut new = NewProject::new(name, tenancy);
        ACTOR.clone_into(&mut new.actor);
        let made = Box::pin(projects::create(&self.platform, new)).await?;
        Ok(self.shown(&made))
    }

    async fn list(&self) -> anyhow::Result<Value> {
        let mut all: Vec<Project> = Vec::new();
        while all.len() < LIST_MAX {
            let page = projects::list(&self.platform, all.last().map(|project| &project.reference)).await?;
            let is_last = page.len() < projects::PAGE_MAX as usize;
            all.extend(page);
            if is_last {
                break;
            }
        }
        Ok(all.iter().map(|project| self.shown(project)).collect())
    }

    async fn delete(&self, project: &str) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        if self.local.is_some() {
            bail!("the project of a local stack cannot be deleted; empty it with: rowhouse db reset");
        }
        if let Some(wire) = &self.wire {
            wire.forget(&found.reference);
        }
        Box::pin(projects::delete(&self.platform, &found.reference, ACTOR)).await?;
        if let Some(wire) = &self.wire {
            wire.remove_files(&found.reference).await;
        }
        Ok(self.shown(&found))
    }

    async fn usage(&self, project: &str, days: u32) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        let mut shown = json!({ "ref": found.reference });
        if let Some(wire) = &self.wire {
            wire.flush_usage().await;
            let holdings = wire.holdings(&found.reference).await?;
            shown["storage_objects"] = holdings.objects.into();
            shown["storage_bytes"] = holdings.bytes.into();
        }
        let mut connection = self.platform.catalog().connection().await?;
        let days = catalog::usage::usage_days(&mut connection, &found.reference, days).await?;
        shown["days"] = serde_json::to_value(days)?;
        Ok(shown)
    }

    async fn keys(&self, project: &str) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        let keys = projects::keys(&self.platform, &found.reference).await?;
        Ok(json!({
            "ref": found.reference,
            "url": self.addresses.of(&found.reference),
            "anon_key": keys.anon,
            "service_role_key": keys.service_role,
            "publishable_key": keys.publishable,
            "secret_key": keys.secret,
            "jwt_secret": keys.jwt_secret,
            "database_password": keys.database_password,
        }))
    }

    async fn create_key(&self, project: &str, new: NewBoundKey) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        Ok(serde_json::to_value(projects::key_create(&self.platform, &found.reference, new).await?)?)
    }

    async fn environment(&self, project: &str, format: &str) -> anyhow::Result<Value> {
        let format: EnvFormat = format.parse().map_err(anyhow::Error::msg)?;
        let found = self.find(project).await?;
        let keys = projects::keys(&self.platform, &found.reference).await?;
        let url = self.addresses.of(&found.reference);
        Ok(Value::String(projects::environment(&found, &keys, &url, format)))
    }

    async fn apply_entities(
        &self,
        project: &str,
        model: &Value,
        allow_destructive: bool,
    ) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        let applied = Box::pin(platform::entities::apply(&self.platform, &found, model, allow_destructive))
            .await
            .map_err(explained)?;
        Ok(serde_json::to_value(applied)?)
    }

    async fn reset(&self) -> anyhow::Result<Value> {
        let local = self.local.as_ref().context("this is a platform, not the local stack of a folder")?;
        if let Some(wire) = &self.wire {
            wire.forget(local.reference());
        }
        let report = Box::pin(local.reset(&self.platform)).await?;
        if let Some(wire) = &self.wire {
            wire.forget(local.reference());
            wire.remove_files(local.reference()).await;
        }
        Ok(serde_json::to_value(report)?)
    }
}

/// An entity model's problems, one a line.
fn explained(error: platform::Error) -> anyhow::Error {
    let lines = |items: Vec<String>| items.iter().map(|item| format!("\n  {item}")).collect::<String>();
    match error {
        platform::Error::Model(problems) => {
            let items = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the entity model is not valid:{}", lines(items))
        }
        platform::Error::Destructive(changes) => {
            let items = changes.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(
                "this would destroy data; say --allow-destructive if you mean it:{}",
                lines(items)
            )
        }
        other => other.into(),
    }
}
