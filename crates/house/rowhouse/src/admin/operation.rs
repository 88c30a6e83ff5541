//! What can be asked of a platform.

use crate::importing::FilesImport;
use crate::keyring::KeyAction;
use crate::moving::Users;
use crate::s3_keys::S3KeyAction;
use crate::tuning::SettingsAction;
use model::Tenancy;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One operation with its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Operation {
    /// What runs here, under which addresses.
    Status,
    /// Empty the database of the local project and fill it again.
    ResetDatabase,
    CreateProject {
        name: String,
        tenancy: Tenancy,
    },
    ListProjects,
    /// `project` is a ref or a slug, here and below.
    ShowProject {
        project: String,
    },
    DeleteProject {
        project: String,
    },
    ProjectKeys {
        project: String,
    },
    /// What the project holds now, and what it used on each of the last so many days.
    ProjectUsage {
        project: String,
        days: u32,
    },
    /// The keys that sign tokens.
    SigningKeys {
        project: String,
        action: KeyAction,
    },
    /// `secret`: for servers. `settings` and `claims` are what requests with the key are bound to.
    CreateKey {
        project: String,
        name: String,
        secret: bool,
        settings: Vec<(String, String)>,
        claims: Map<String, Value>,
    },
    ListKeys {
        project: String,
    },
    /// `key` is a name or an id.
    DeleteKey {
        project: String,
        key: String,
    },
    /// The access keys of the S3 protocol.
    S3Keys {
        project: String,
        action: S3KeyAction,
    },
    Settings {
        project: String,
        action: SettingsAction,
    },
    /// Asks a hook with an example; `user` is whom it is told of.
    TryHook {
        project: String,
        hook: String,
        user: Option<String>,
    },
    ImportUsers {
        project: String,
        users: Users,
    },
    /// `after` is the last id of the part before.
    ExportUsers {
        project: String,
        after: Option<uuid::Uuid>,
    },
    /// Brings files along from elsewhere; told are the news of it.
    ImportFiles(FilesImport),
    /// `format` is vite, next or plain.
    ProjectEnvironment {
        project: String,
        format: String,
    },
    ApplyEntities {
        project: String,
        model: Value,
        allow_destructive: bool,
    },
}

impl Operation {
    /// Whether it may take hours. Such an operation tells how it goes, and may be cut off and done again.
    pub fn is_long(&self) -> bool {
        matches!(self, Operation::ImportFiles(_))
    }
}
