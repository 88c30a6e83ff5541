//! What can go wrong on the platform, and how a client sees it.

use crate::bootstrap::ScriptError;
use crate::entities::{Destructive, Problem};
use catalog::SealError;
use fault::Fault;
use http::StatusCode;
use serde_json::json;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A server that holds projects refused or could not be reached.
    #[error("the database: {0}")]
    Database(#[source] pg::Error),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error(transparent)]
    Instance(#[from] instance::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The program is shutting down.
    #[error("interrupted by the shutdown of the program")]
    Interrupted,
    /// There is no such project.
    #[error("there is no project \"{0}\"")]
    NoProject(String),
    /// The project is not in a state for that.
    #[error("the project {project} is {status}")]
    NotReady { project: String, status: &'static str },
    /// Another change of the same project, or its traffic, does not let this one through.
    #[error("the project is busy with another change or with long requests; try again")]
    Busy,
    /// The operation exists only for the other tenancy.
    #[error("{0}")]
    WrongTenancy(&'static str),
    /// A value of the caller is not acceptable.
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: String },
    /// An entity model that is not valid, with every problem in it.
    #[error("the entity model is not valid: {}", list(.0))]
    Model(Vec<Problem>),
    /// An entity model that would destroy data.
    #[error("the entity model would destroy data: {}", list(.0))]
    Destructive(Vec<Destructive>),
    /// Existing rows do not fit the new model.
    #[error("the stored rows do not fit the entity model: {0}")]
    RowsDoNotFit(#[source] pg::Error),
    /// Where a test had the platform die.
    #[error("killed at {failpoint}")]
    Killed { failpoint: String },
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<pg::Error> for Error {
    fn from(cause: pg::Error) -> Self {
        Error::Database(cause)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let fault = |status, code: &'static str, message: String| Fault::new(status, code, message);
        let text = error.to_string();
        match &error {
            Error::NoProject(_) | Error::Catalog(catalog::Error::Missing { .. }) => {
                fault(StatusCode::NOT_FOUND, "not_found", text)
            }
            Error::Catalog(catalog::Error::Taken { .. }) => {
                fault(StatusCode::CONFLICT, "already_exists", text)
            }
            Error::Catalog(catalog::Error::Busy { .. }) | Error::Busy | Error::NotReady { .. } => {
                fault(StatusCode::CONFLICT, "project_busy", text)
            }
            Error::Invalid { .. } | Error::WrongTenancy(_) => {
                fault(StatusCode::BAD_REQUEST, "validation_failed", text)
            }
            Error::Model(problems) => fault(
                StatusCode::BAD_REQUEST,
                "invalid_entity_model",
                "the entity model is not valid".to_owned(),
            )
            .with_details(json!(problems)),
            Error::Destructive(changes) => fault(
                StatusCode::CONFLICT,
                "destructive_change",
                "the entity model would destroy data".to_owned(),
            )
            .with_details(json!(changes))
            .with_hint("allow destructive changes to apply it all the same"),
            Error::RowsDoNotFit(cause) => {
                let said = cause.db().map(|db| db.message.clone()).unwrap_or_default();
                fault(StatusCode::CONFLICT, "rows_do_not_fit", "stored rows do not fit the model".to_owned())
                    .with_details(said)
            }
            Error::Catalog(
                catalog::Error::Database(_)
                | catalog::Error::Seal(_)
                | catalog::Error::MigrationChanged { .. }
                | catalog::Error::FromTheFuture { .. },
            )
            | Error::Database(_)
            | Error::Script(_)
            | Error::Instance(_)
            | Error::Seal(_)
            | Error::Interrupted
            | Error::Killed { .. } => fault(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unexpected_failure",
                "the platform could not do this now".to_owned(),
            )
            .caused_by(text),
        }
    }
}
