//! The data API against real PostgreSQL.

mod schema;
