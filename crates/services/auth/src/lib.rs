//! Supabase Auth on the wire, for one project.

pub mod schema;
