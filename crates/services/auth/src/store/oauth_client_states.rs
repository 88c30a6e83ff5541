//! `auth.oauth_client_states`: what we keep for ourselves while somebody is at a provider.

use super::db::Step;
use crate::moment::Moment;
use pg::{param, text};
use serde::Deserialize;
use uuid::Uuid;

/// A row.
#[derive(Clone, Deserialize)]
pub(crate) struct ClientState {
    pub(crate) provider_type: String,
    pub(crate) code_verifier: Option<String>,
    pub(crate) created_at: Moment,
}

impl std::fmt::Debug for ClientState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientState").field("provider_type", &self.provider_type).finish_non_exhaustive()
    }
}

pub(crate) fn insert(id: Uuid, provider: &str, verifier: &str, now: Moment) -> Step {
    let params = [param(id), text(provider), text(verifier), param(now)];
    Step::new(include_str!("sql/oauth_client_state_insert.sql"), params)
}

/// Uses a row up. Returns it to one caller only.
pub(crate) fn take(id: Uuid) -> Step {
    Step::new(include_str!("sql/oauth_client_state_take.sql"), [param(id)])
}
