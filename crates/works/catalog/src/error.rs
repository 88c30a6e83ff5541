//! What can go wrong with the catalog.

use crate::seal::SealError;

/// A failed operation on the catalog.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or could not be reached.
    #[error("the catalog database: {0}")]
    Database(#[source] pg::Error),
    /// A value of that kind exists already.
    #[error("{what} \"{value}\" is already taken")]
    Taken { what: &'static str, value: String },
    /// There is no such thing.
    #[error("there is no {what} \"{value}\"")]
    Missing { what: &'static str, value: String },
    /// A job of the project is under way.
    #[error("the project {project} is being changed already")]
    Busy { project: String },
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A migration that was applied is not the one this program has.
    #[error("migration {number} of the catalog was changed after it had been applied; migrations are frozen")]
    MigrationChanged { number: i32 },
    /// The catalog was made by a newer program.
    #[error("the catalog has migration {number}, which this version of the program does not know")]
    FromTheFuture { number: i32 },
}

impl From<pg::Error> for Error {
    fn from(cause: pg::Error) -> Self {
        Error::Database(cause)
    }
}

impl Error {
    /// Whether the statement broke the unique constraint or index of this name.
    pub(crate) fn violates(error: &pg::Error, constraint: &str) -> bool {
        error.sqlstate() == Some("23505")
            && error.db().and_then(|db| db.constraint.as_deref()) == Some(constraint)
    }
}
