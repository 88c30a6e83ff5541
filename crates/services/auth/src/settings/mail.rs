//! How a project's mail is sent.

use std::sync::Arc;
use std::time::Duration;

/// Told when a project's outbox has something to send. It must not block.
pub trait Bell: std::fmt::Debug + Send + Sync {
    /// There will be something to send after so long; zero is now.
    fn ring(&self, after: Duration);
}

/// How a project's mail is sent.
#[derive(Debug, Clone, Default)]
pub struct MailSettings {
    /// Who is told of new messages and has [`crate::Auth::deliver`] called then. Without one messages wait.
    pub bell: Option<Arc<dyn Bell>>,
}
