//! `rowhouse.spent_proofs`: what is good once and has been used.

use super::db::Step;
use crate::moment::Moment;
use pg::{null, param, text};
use uuid::Uuid;

/// Uses a proof up. Returns a row to the first caller only. `kind` keeps proofs of different sorts apart.
pub(crate) fn spend(kind: &str, proof: &[u8], until: Moment, flow: Option<(Uuid, Option<Moment>)>) -> Step {
    let (flow, end) = flow.map_or((None, None), |(flow, end)| (Some(flow), end));
    let params = [
        text(format!("{kind}:{}", hex::encode(token::sha256(proof)))),
        param(until),
        flow.map_or_else(null, param),
        end.map_or_else(null, param),
    ];
    Step::new(include_str!("sql/proof_spend.sql"), params)
}

/// When the session must end to which a flow leads.
pub(crate) fn session_end(flow: Uuid) -> Step {
    Step::new(include_str!("sql/proof_session_end.sql"), [param(flow)])
}
