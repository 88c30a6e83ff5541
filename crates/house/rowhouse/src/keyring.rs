//! What the command line does with the signing keys of a project.

use crate::desk::{ACTOR, Desk};
use anyhow::Context;
use platform::projects::signing_keys::{self, KeySource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A change of a project's signing keys, or a look at them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAction {
    List,
    /// A new key that stands by: made here, or `given`.
    Create {
        algorithm: String,
        given: Option<Given>,
    },
    /// Put the key that stands by in use.
    Rotate,
    Revoke {
        key: String,
    },
}

/// A key that somebody brings along. Never shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Given(pub String);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(…)")
    }
}

impl Desk {
    /// Does it, and returns the keys as they are then.
    pub(crate) async fn signing_keys(&self, project: &str, action: KeyAction) -> anyhow::Result<Value> {
        let found = self.find(project).await?;
        let (platform, reference) = (&self.platform, &found.reference);
        let keys = match action {
            KeyAction::List => signing_keys::list(platform, reference).await?,
            KeyAction::Create { algorithm, given } => {
                let source = match given {
                    Some(Given(text)) => KeySource::Given(text),
                    None => KeySource::New(algorithm.parse()?),
                };
                signing_keys::create(platform, reference, &source, ACTOR).await?;
                signing_keys::list(platform, reference).await?
            }
            KeyAction::Rotate => signing_keys::rotate(platform, reference, ACTOR).await?,
            KeyAction::Revoke { key } => signing_keys::revoke(platform, reference, &key, ACTOR).await?,
        };
        serde_json::to_value(keys).context("the keys cannot be shown")
    }
}
