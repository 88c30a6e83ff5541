//! One module a table.

pub mod audit;
pub mod domains;
pub mod entity_models;
pub mod instances;
pub mod jobs;
pub mod keys;
pub mod organizations;
pub mod outbox;
pub mod projects;
pub mod removals;
pub mod secrets;
pub mod shards;
pub mod signing_keys;
pub mod usage;
