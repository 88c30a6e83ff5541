//! The tables: what is read from them and the statements that write them, one module a table.
//!
//! Statements are the same in a dedicated project and in a shard; who sees which rows is decided by the
//! settings that every transaction begins with (see [`db`]).

pub(crate) mod audit;
pub(crate) mod cleanup;
pub(crate) mod custom_providers;
pub(crate) mod db;
pub(crate) mod factors;
pub(crate) mod flow_states;
pub(crate) mod identities;
pub(crate) mod oauth_authorizations;
pub(crate) mod oauth_client_states;
pub(crate) mod oauth_clients;
pub(crate) mod one_time_tokens;
pub(crate) mod outbox;
pub(crate) mod passkeys;
pub(crate) mod proofs;
pub(crate) mod records;
pub(crate) mod refresh_tokens;
pub(crate) mod relay_states;
pub(crate) mod sessions;
pub(crate) mod sso_providers;
pub(crate) mod users;
