//! How a request fails: the fault for the client and the shape in which this surface shows it.

use fault::Fault;
use http::StatusCode;
use serde_json::{Map, Value, json};

/// A failed request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    pub(crate) shape: Shape,
}

/// The forms of an error body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By the API version of the request.
    Coded,
    /// What the database said: a user's trigger, or a constraint, refused.
    Database,
    /// As OAuth 2 has it: `error` and `error_description`, always 400.
    OAuth,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal { fault, shape: Shape::Coded }
    }
}

pub(crate) type Outcome<T> = Result<T, Refusal>;

/// A refusal with a status, a code and a message.
pub(crate) fn refuse(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Fault::new(status, code, message).into()
}

/// A refusal in the form of OAuth 2.
pub(crate) fn oauth(error: &'static str, description: impl Into<String>) -> Refusal {
    Refusal { shape: Shape::OAuth, ..refuse(400, error, description) }
}

/// 400 `validation_failed`.
pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
    refuse(400, "validation_failed", message)
}

/// 422 `weak_password` with its reasons.
pub(crate) fn weak_password(message: String, reasons: &[&str]) -> Refusal {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "weak_password", message)
        .with_details(json!({ "weak_password": { "reasons": reasons } }))
        .into()
}

/// A failure of ours. The cause goes to the log only.
pub(crate) fn internal(
    message: &'static str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Refusal {
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).caused_by(cause).into()
}

/// For `map_err`: a failure of the database while doing what `message` says.
///
/// What a user's own trigger or constraint reports is shown; everything else stays in the log.
pub(crate) fn database(message: &'static str) -> impl FnOnce(pg::Error) -> Refusal {
    move |error| match error.db().and_then(|report| Some((shown_status(&report.code)?, report))) {
        None => internal(message, error),
        Some((status, report)) => {
            let mut details = Map::new();
            for (name, text) in [("hint", &report.hint), ("detail", &report.detail)] {
                if let Some(text) = text {
                    details.insert(name.to_owned(), Value::from(text.as_str()));
                }
            }
            let fault = Fault::new(status, report.code.clone(), report.message.clone()).with_details(details);
            Refusal {
                fault: fault.caused_by(Trouble { message, report: report.clone() }),
                shape: Shape::Database,
            }
        }
    }
}

/// The status for an SQLSTATE whose report clients may see.
fn shown_status(code: &str) -> Option<StatusCode> {
    match code {
        "P0001" | "23000" | "23001" | "23502" | "23503" | "23505" | "23514" | "23P01" => {
            Some(StatusCode::INTERNAL_SERVER_ERROR)
        }
        _ => StatusCode::from_u16(code.strip_prefix("PT")?.parse().ok()?).ok(),
    }
}

/// For the owner's log: which function or constraint it was.
#[derive(Debug)]
struct Trouble {
    message: &'static str,
    report: pg::DbError,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.message, self.report)?;
        if let Some(place) = self.report.where_.as_deref().or(self.report.constraint.as_deref()) {
            write!(f, ", at {place}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reports_of_users_triggers_and_constraints_are_shown() {
        assert_eq!(shown_status("P0001"), Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(shown_status("PT418").map(|s| s.as_u16()), Some(418));
        for hidden in ["42P01", "XX000", "PTabc", "PT000", "57014"] {
            assert_eq!(shown_status(hidden), None, "{hidden}");
        }
    }
}
