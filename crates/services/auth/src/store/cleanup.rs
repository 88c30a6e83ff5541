//! Rows that nobody needs any more, a hundred of a kind at a time.

use super::db::Step;
use crate::moment::Moment;
use pg::param;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn steps(now: Moment) -> Vec<Step> {
    let old = |sql: &'static str, hours: u32| Step::new(sql, [param(now.minus(HOUR * hours))]);
    vec![
        old(include_str!("sql/cleanup_refresh_tokens.sql"), 24),
        old(include_str!("sql/cleanup_sessions.sql"), 72),
        old(include_str!("sql/cleanup_flow_states.sql"), 24),
        old(include_str!("sql/cleanup_challenges.sql"), 24),
        old(include_str!("sql/cleanup_relay_states.sql"), 24),
        old(include_str!("sql/cleanup_proofs.sql"), 24),
        old(include_str!("sql/cleanup_factors.sql"), 24),
        old(include_str!("sql/cleanup_oauth_authorizations.sql"), 24),
        old(include_str!("sql/cleanup_client_states.sql"), 24),
    ]
}
