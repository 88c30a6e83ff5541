//! Access keys of the S3 protocol: made, listed and revoked by the command line while everything runs.
//!
//! They are a setting of their project, their secrets sealed like those of any setting. A secret is shown when it is
//! made and never again.

use crate::desk::{ACTOR, Desk};
use crate::wire::S3_KEYS;
use anyhow::{Context, bail};
use catalog::projects::project_change_settings;
use catalog::{audit, settings as sealing};
use model::secret::MARK;
use model::{ProjectRef, role};
use platform::Project;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// How many a project has at most, as in the reference.
const KEYS_MAX: usize = 50;
const NAME_BYTES_MAX: usize = 64;
/// How often a change is tried that meets changes of others.
const ATTEMPTS_MAX: usize = 16;

/// What is asked of the access keys of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum S3KeyAction {
    Create {
        name: String,
        /// The role under whose policies requests run.
        role: String,
        /// The claim `sub`: the user that requests are of.
        subject: Option<String>,
    },
    List,
    /// By name or access key.
    Revoke {
        key: String,
    },
}

/// The keys after a change, and what is said of it.
struct Change {
    keys: Vec<Value>,
    answer: Value,
    word: &'static str,
}

impl Desk {
    /// Does it. What is made is shown with its secret, everything else without.
    pub(crate) async fn s3_keys(&self, project: &str, action: S3KeyAction) -> anyhow::Result<Value> {
        for _ in 0..ATTEMPTS_MAX {
            let found = self.find(project).await?;
            let stored = stored(&found)?;
            let change = match &action {
                S3KeyAction::List => return Ok(stored.iter().map(shown).collect()),
                S3KeyAction::Create { name, role, subject } => {
                    create(stored, name, role, subject.as_deref())?
                }
                S3KeyAction::Revoke { key } => revoke(stored, key)?,
            };
            if self.keep_s3_keys(&found, change.keys).await? {
                self.record_s3_key(&found.reference, change.word, &change.answer).await?;
                if let Some(wire) = &self.wire {
                    wire.forget(&found.reference);
                }
                return Ok(change.answer);
            }
        }
        bail!("others change the keys of this project all the time; nothing was changed")
    }

    /// Whether nobody has changed the keys meanwhile, and they are changed now.
    async fn keep_s3_keys(&self, found: &Project, keys: Vec<Value>) -> anyhow::Result<bool> {
        let catalog = self.platform.catalog();
        let sealed = sealing::seal(catalog.key(), &found.reference, Value::Array(keys))?;
        let change = Map::from_iter([(S3_KEYS.to_owned(), sealed)]);
        let mut connection = catalog.connection().await?;
        // What is sealed looks different each time, and every access key is new: every version differs.
        let was = (S3_KEYS, found.settings.get(S3_KEYS));
        let is_done = project_change_settings(&mut connection, &found.reference, &change, was).await?;
        catalog.forget(&found.reference);
        Ok(is_done)
    }

    async fn record_s3_key(&self, project: &ProjectRef, word: &str, key: &Value) -> anyhow::Result<()> {
        let of = |name: &str| (name.to_owned(), key.get(name).cloned().unwrap_or_default());
        let details = Map::from_iter([of("name"), of("access_key")]);
        let mut connection = self.platform.catalog().connection().await?;
        Ok(audit::audit_write(&mut connection, ACTOR, word, project, &details).await?)
    }
}

/// The keys as the catalog has them, secrets sealed.
fn stored(project: &Project) -> anyhow::Result<Vec<Value>> {
    match project.settings.get(S3_KEYS) {
        None => Ok(Vec::new()),
        Some(Value::Array(keys)) => Ok(keys.clone()),
        Some(_) => bail!("the keys of this project are in a form that is not known here"),
    }
}

/// A key without its secret.
fn shown(key: &Value) -> Value {
    let of = |name: &str| (name.to_owned(), key.get(name).cloned().unwrap_or_default());
    Value::Object(["name", "access_key", "role", "subject", "created_at"].map(of).into_iter().collect())
}

fn create(mut keys: Vec<Value>, name: &str, role: &str, subject: Option<&str>) -> anyhow::Result<Change> {
    let is_word = |text: &str| {
        !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if !is_word(name) {
        bail!("a name has 1 to {NAME_BYTES_MAX} letters, digits, and the characters - _ .");
    }
    if ![role::SERVICE, role::AUTHENTICATED, role::ANON].contains(&role) {
        bail!("{role}: keys speak for service_role, authenticated or anon");
    }
    if keys.len() >= KEYS_MAX {
        bail!("a project has at most {KEYS_MAX} access keys; revoke one");
    }
    if keys.iter().any(|key| key.get("name").and_then(Value::as_str) == Some(name)) {
        bail!("there is an access key named {name}");
    }
    let created_at = time::OffsetDateTime::from(SystemTime::now());
    let created_at = created_at.format(&time::format_description::well_known::Rfc3339)?;
    let access_key = hex::encode(token::random_bytes::<16>());
    let secret = hex::encode(token::random_bytes::<32>());
    let mut key = json!({ "name": name, "access_key": access_key, "role": role, "subject": subject, "created_at": created_at });
    let mut answer = shown(&key);
    let object = |value: &mut Value, secret: Value| {
        let map = value.as_object_mut().context("a key is an object")?;
        map.insert("secret_key".to_owned(), secret);
        anyhow::Ok(())
    };
    object(&mut key, json!({ MARK: secret }))?;
    object(&mut answer, Value::String(secret))?;
    keys.push(key);
    Ok(Change { keys, answer, word: "s3_key.create" })
}

fn revoke(mut keys: Vec<Value>, wanted: &str) -> anyhow::Result<Change> {
    let is_it = |key: &Value| {
        ["name", "access_key"].iter().any(|name| key.get(*name).and_then(Value::as_str) == Some(wanted))
    };
    let Some(at) = keys.iter().position(is_it) else { bail!("there is no access key {wanted}") };
    let gone = keys.remove(at);
    Ok(Change { keys, answer: shown(&gone), word: "s3_key.revoke" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(keys: Vec<Value>, name: &str) -> Change {
        create(keys, name, role::SERVICE, None).unwrap()
    }

    #[test]
    fn keys_come_and_go() {
        let change = made(Vec::new(), "backup");
        let access = change.answer["access_key"].as_str().unwrap().to_owned();
        assert_eq!((access.len(), change.answer["secret_key"].as_str().unwrap().len()), (32, 64));
        assert_eq!(change.keys[0]["secret_key"][MARK], change.answer["secret_key"]);
        assert!(shown(&change.keys[0]).get("secret_key").is_none());
        assert!(create(change.keys.clone(), "backup", role::SERVICE, None).is_err());
        let other = made(change.keys, "site");
        assert!(revoke(other.keys.clone(), "nothing").is_err());
        let left = revoke(other.keys, &access).unwrap();
        assert_eq!(left.keys.len(), 1);
        assert!(left.answer.get("secret_key").is_none());
        assert!(revoke(left.keys, "site").unwrap().keys.is_empty());
    }

    #[test]
    fn keys_that_are_refused() {
        assert!(create(Vec::new(), "a b", role::SERVICE, None).is_err());
        assert!(create(Vec::new(), "a", "postgres", None).is_err());
        let full = (0..KEYS_MAX).fold(Vec::new(), |keys, n| made(keys, &format!("k{n}")).keys);
        assert!(create(full, "one-more", role::SERVICE, None).is_err());
    }
}
