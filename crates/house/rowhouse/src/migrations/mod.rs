//! `supabase/migrations` and the seed files: which there are, what they say, and applying each once.
//!
//! What has been applied is recorded as the official CLI does it, in `supabase_migrations.schema_migrations` and
//! `supabase_migrations.seed_files`, so that both can work on the same database.

mod apply;
mod files;
mod split;

pub use apply::{apply_pending, apply_seeds};
pub use files::{Migration, SeedFile, migrations_in, seeds_in};
