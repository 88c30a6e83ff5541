//! Asking a function of the project's own database, as the service's role and for two seconds at most.

use crate::Auth;
use crate::refusal::{Outcome, Refusal, Shape, database, refuse};
use crate::settings::HookFunction;
use crate::store::db::{Step, Unit};
use bytes::Bytes;
use fault::Fault;
use http::StatusCode;
use pg::Rows;
use sql::{Fragment, Ident};

/// The SQLSTATE of a statement that took too long.
const CANCELLED: &str = "57014";

/// Calls the function, in a transaction of its own or in the one that is open, and returns what it says.
pub(super) async fn ask(
    auth: &Auth,
    function: &HookFunction,
    payload: String,
    unit: Option<&mut Unit>,
) -> Outcome<Option<Bytes>> {
    let steps = steps(function, payload);
    let results = match unit {
        Some(unit) => unit.run(steps).await,
        None => auth.db.run(steps).await,
    };
    let results = results.map_err(|error| failed(function, error))?;
    Ok(said(&results))
}

/// The statements that call the function.
pub(super) fn steps(function: &HookFunction, payload: String) -> Vec<Step> {
    let mut select = Fragment::new();
    select.push("select ").ident(&Ident::new(&*function.schema)).push(".");
    select.ident(&Ident::new(&*function.name)).push("(").bind(payload).push("::jsonb)");
    vec![
        Step::new("select set_config('statement_timeout', '2000', true)", []),
        Step::built(select),
        Step::new("set local statement_timeout to default", []),
    ]
}

/// What the function said, of the results of those statements.
pub(super) fn said(results: &[Rows]) -> Option<Bytes> {
    let said = results.get(1).and_then(|rows| rows.first()).and_then(|row| row.text(0));
    said.filter(|said| !said.is_empty()).map(|said| Bytes::copy_from_slice(said.as_bytes()))
}

fn failed(function: &HookFunction, error: pg::Error) -> Refusal {
    if error.sqlstate() == Some(CANCELLED) {
        return refuse(422, "hook_timeout", "Failed to run hook within maximum time of 2.000000 seconds");
    }
    let known = database("Error running hook");
    let message = format!("Error running hook URI: {function}");
    let refusal = if error.db().is_some() {
        known(error)
    } else {
        return Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message)
            .caused_by(error)
            .into();
    };
    // What the function itself raised is shown as it is; that it is missing or not granted is not.
    if refusal.shape == Shape::Database {
        return refusal;
    }
    let Refusal { mut fault, shape } = refusal;
    fault.message = message;
    Refusal { fault, shape }
}
