//! `auth.saml_relay_states`: sign-ins that are at an identity provider.

use super::db::Step;
use super::records::FlowState;
use crate::flow::pkce::Challenge;
use crate::moment::Moment;
use pg::{null, param, text};
use serde::Deserialize;
use uuid::Uuid;

/// A row with its flow.
#[derive(Debug, Deserialize)]
pub(crate) struct RelayState {
    pub(crate) sso_provider_id: Uuid,
    pub(crate) request_id: String,
    pub(crate) redirect_to: Option<String>,
    pub(crate) created_at: Option<Moment>,
    pub(crate) flow: Option<FlowState>,
}

/// A sign-in about to go to an identity provider.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) id: Uuid,
    pub(crate) provider: Uuid,
    pub(crate) request_id: &'a str,
    pub(crate) redirect_to: &'a str,
    pub(crate) challenge: Option<&'a Challenge>,
}

/// Remembers a sign-in and its flow.
pub(crate) fn start(start: &Start<'_>, now: Moment) -> [Step; 2] {
    let optional = |value: &str| if value.is_empty() { null() } else { text(value) };
    let (flow, challenge) = (Uuid::new_v4(), start.challenge);
    let flow_params = [
        param(flow),
        challenge.map_or_else(null, |_| param(Uuid::new_v4())),
        challenge.map_or_else(null, |challenge| text(&challenge.challenge)),
        challenge.map_or_else(null, |challenge| text(challenge.method)),
        optional(start.redirect_to),
        param(now),
    ];
    let relay_params = [
        param(start.id),
        param(start.provider),
        text(start.request_id),
        optional(start.redirect_to),
        param(flow),
        param(now),
    ];
    [
        Step::new(include_str!("sql/flow_state_start_sso.sql"), flow_params),
        Step::new(include_str!("sql/relay_state_insert.sql"), relay_params),
    ]
}

/// Uses a row up and returns it, to one caller only.
pub(crate) fn take(id: Uuid) -> Step {
    Step::new(include_str!("sql/relay_state_take.sql"), [param(id)])
}
