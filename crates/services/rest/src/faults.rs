//! Every fault that the data API itself raises, with its code, status and texts: the protocol's table of
//! errors. What PostgreSQL raises is mapped in [`crate::response`].

use crate::config::Settings;
use crate::request::{MediaType, Scanner};
use fault::Fault;
use http::StatusCode;
use serde_json::Value;

const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

/// No connection to the database.
pub fn no_connection(details: Option<String>) -> Fault {
    let fault = Fault::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST000", "Database connection error.");
    match details {
        Some(details) => fault.with_details(details),
        None => fault,
    }
}

/// The connection broke in the middle.
pub fn client_error(details: String) -> Fault {
    Fault::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST001", "Database client error. Retrying the connection.")
        .with_details(details)
}

/// The schema cache has not been read yet.
pub fn no_schema_cache() -> Fault {
    let text = "Could not query the database for the schema cache. Retrying.";
    Fault::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST002", text)
}

/// All connections were busy for too long.
pub fn pool_timeout() -> Fault {
    let text = "Timed out acquiring connection from connection pool.";
    Fault::new(StatusCode::GATEWAY_TIMEOUT, "PGRST003", text)
}

/// A query string that does not follow the grammar.
pub fn query(what: &str, text: &str, scanner: &Scanner) -> Fault {
    let message = format!("\"failed to parse {what} ({text})\" {}", scanner.place());
    Fault::new(BAD_REQUEST, "PGRST100", message).with_details(scanner.reason())
}

/// A method that functions do not have.
pub fn call_method(method: &str) -> Fault {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "PGRST101", format!("Cannot use the {method} method on RPC"))
}

/// A body that cannot be used.
pub fn body(message: impl Into<String>) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST102", message)
}

/// A body above the limit.
pub fn body_too_large() -> Fault {
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "PGRST102", "The request body is too large")
}

/// An explanation for another key than the service key.
pub fn explain_forbidden() -> Fault {
    Fault::new(StatusCode::FORBIDDEN, "service_key_needed", "Requests are explained to the service key only")
        .with_hint("Send a secret key (sb_secret_… or the service_role key), from a server only.")
}

/// A header of the question that makes no sense.
pub fn explain_header(name: &str, why: &str) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST102", format!("The header '{name}' cannot be used: {why}"))
}

/// What is answered without a statement, or asks for a plan already, is not explained.
pub fn not_explained() -> Fault {
    Fault::new(StatusCode::NOT_ACCEPTABLE, "PGRST107", "Only requests for rows can be explained")
        .with_hint("Ask about a table, a view or a function, and for no other kind of plan.")
}

/// An operation of a batch that is none.
pub fn operation(message: String) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST102", message)
        .with_hint("An operation is {\"method\", \"path\", \"headers\"?, \"prefer\"?, \"body\"?}.")
}

/// A batch of no operations, or of too many.
pub fn batch_length(operations_max: usize) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST102", format!("A batch has 1 to {operations_max} operations"))
}

/// What a batch cannot hold: the root, and what is answered without a transaction.
pub fn not_in_batch() -> Fault {
    operation("An operation is on a table, a view or a function".to_owned())
}

/// A query in a body above the limit.
pub fn query_too_large(bytes_max: usize) -> Fault {
    let text = format!("The query in the request body is larger than {bytes_max} bytes");
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "PGRST102", text)
        .with_hint("Send the ids in several requests, or to a function that takes them as one JSON argument.")
}

/// More values than a statement of PostgreSQL takes.
pub fn too_many_values(values_max: usize) -> Fault {
    let text = format!("The request has more than {values_max} values");
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "PGRST102", text)
        .with_hint("A list of in.(…) counts as one value.")
}

fn range(details: impl Into<Value>) -> Fault {
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    Fault::new(status, "PGRST103", "Requested range not satisfiable").with_details(details)
}

/// A `Range` header that ends before it starts.
pub fn range_reversed() -> Fault {
    range("The lower boundary must be lower than or equal to the upper boundary in the Range header.")
}

/// A limit below zero.
pub fn negative_limit() -> Fault {
    range("Limit should be greater than or equal to zero.")
}

/// An offset beyond the last row.
pub fn offset_beyond(offset: i64, total: i64) -> Fault {
    range(format!("An offset of {offset} was requested, but there are only {total} rows."))
}

/// PUT without exactly the primary key as filter.
pub fn put_filters() -> Fault {
    let text = "Filters must include all and only primary key columns with 'eq' operators";
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "PGRST105", text)
}

/// A schema that is not exposed.
pub fn unknown_schema(shown: &str, settings: &Settings) -> Fault {
    let exposed: Vec<&str> = settings.db_schemas.iter().map(|schema| settings.shown_schema(schema)).collect();
    Fault::new(StatusCode::NOT_ACCEPTABLE, "PGRST106", format!("Invalid schema: {shown}"))
        .with_hint(format!("Only the following schemas are exposed: {}", exposed.join(", ")))
}

/// No media type that can be made is accepted.
pub fn not_acceptable(asked: &[MediaType]) -> Fault {
    let names: Vec<String> = asked.iter().map(MediaType::name).collect();
    let message = format!("None of these media types are available: {}", names.join(", "));
    Fault::new(StatusCode::NOT_ACCEPTABLE, "PGRST107", message)
}

/// A filter, order or range on something that is not embedded.
pub fn not_embedded(name: &str) -> Fault {
    let message = format!("'{name}' is not an embedded resource in this request");
    Fault::new(BAD_REQUEST, "PGRST108", message)
        .with_hint(format!("Verify that '{name}' is included in the 'select' query parameter."))
}

/// An embed named by its relation though it has an alias.
pub fn alias_wanted(name: &str, alias: &str) -> Fault {
    let message = format!("'{name}' is not an embedded resource in this request");
    Fault::new(BAD_REQUEST, "PGRST108", message)
        .with_details("Target names are not allowed in filters if they have an alias")
        .with_hint(format!("Change '{name}' to '{alias}' in filters, orders or limits."))
}

/// `response.headers` is not what it must be.
pub fn bad_headers_setting() -> Fault {
    let text =
        "response.headers guc must be a JSON array composed of objects with a single key and a string value";
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST111", text)
}

/// `response.status` is not what it must be.
pub fn bad_status_setting() -> Fault {
    let text = "response.status guc must be a valid status code";
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST112", text)
}

/// PUT with a range.
pub fn put_range() -> Fault {
    let text = "limit/offset querystring parameters are not allowed for PUT";
    Fault::new(BAD_REQUEST, "PGRST114", text)
}

/// PUT whose body is another row than the URL's.
pub fn put_mismatch() -> Fault {
    Fault::new(BAD_REQUEST, "PGRST115", "Payload values do not match URL in primary key column(s)")
}

/// Another number of rows than one where one object is wanted.
pub fn not_singular(rows: i64) -> Fault {
    Fault::new(StatusCode::NOT_ACCEPTABLE, "PGRST116", "Cannot coerce the result to a single JSON object")
        .with_details(format!("The result contains {rows} rows"))
}

/// A method that nothing has.
pub fn method(method: &str) -> Fault {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "PGRST117", format!("Unsupported HTTP method: {method}"))
}

/// An order by a relation with many rows.
pub fn order_not_to_one(origin: &str, target: &str) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST118", format!("A related order on '{target}' is not possible"))
        .with_details(format!(
            "'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
        ))
}

/// `RAISE SQLSTATE 'PGRST'` that does not say what it must.
pub fn bad_raise(details: String, hint: &str) -> Fault {
    let text = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error";
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST121", text).with_details(details).with_hint(hint)
}

/// Unknown preferences, strictly handled.
pub fn unknown_preferences(unknown: &[String]) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST122", "Invalid preferences given with handling=strict")
        .with_details(format!("Invalid preferences: {}", unknown.join(", ")))
}

/// An aggregate where they are off.
pub fn aggregates_disabled() -> Fault {
    Fault::new(BAD_REQUEST, "PGRST123", "Use of aggregate functions is not allowed")
}

/// More rows affected than preferred.
pub fn too_many_affected(rows: i64) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST124", "Query result exceeds max-affected preference constraint")
        .with_details(format!("The query affects {rows} rows"))
}

/// A path of no known shape.
pub fn invalid_path() -> Fault {
    Fault::new(NOT_FOUND, "PGRST125", "Invalid path specified in request URL")
}

/// The root is switched off.
pub fn root_disabled() -> Fault {
    Fault::new(NOT_FOUND, "PGRST126", "Root endpoint metadata is disabled")
}

/// Something that no one has built.
pub fn not_implemented(details: &str) -> Fault {
    Fault::new(BAD_REQUEST, "PGRST127", "Feature not implemented").with_details(details)
}

/// `max-affected` on a function that returns one value.
pub fn max_affected_single() -> Fault {
    let text =
        "Function must return SETOF or TABLE when max-affected preference is used with handling=strict";
    Fault::new(BAD_REQUEST, "PGRST128", text)
}

/// A column of the payload that the relation lacks.
pub fn unknown_column(relation: &str, column: &str) -> Fault {
    let message = format!("Could not find the '{column}' column of '{relation}' in the schema cache");
    Fault::new(BAD_REQUEST, "PGRST204", message)
}

/// A type that does not exist as far as the client may know; PostgreSQL says the same of others.
pub fn unknown_type(name: &str) -> Fault {
    Fault::new(BAD_REQUEST, "42704", format!("type \"{name}\" does not exist"))
}

/// Two embeds of one level under the same name.
pub fn embedded_twice(lateral: &str) -> Fault {
    Fault::new(BAD_REQUEST, "42712", format!("table name \"{lateral}\" specified more than once"))
}

/// A relation that the schema lacks.
pub fn unknown_relation(schema: &str, name: &str, perhaps: Option<&str>) -> Fault {
    let message = format!("Could not find the table '{schema}.{name}' in the schema cache");
    let fault = Fault::new(NOT_FOUND, "PGRST205", message);
    match perhaps {
        Some(perhaps) => fault.with_hint(format!("Perhaps you meant the table '{schema}.{perhaps}'")),
        None => fault,
    }
}

/// More rows than a reply may have bytes for.
pub fn answer_too_large(details: &str) -> Fault {
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRSTX00", "The result is too large")
        .with_details(details)
        .with_hint("Ask for fewer rows or columns, with limit and select.")
}

/// Something that must not happen.
pub fn internal(message: &str) -> Fault {
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRSTX00", message)
}

/// A cursor that is none, or not of this order.
pub fn bad_cursor(details: &str) -> Fault {
    Fault::new(BAD_REQUEST, "RH100", "The cursor cannot be used")
        .with_details(details)
        .with_hint("Take the cursor of the last answer, and leave relation and order as they were.")
}

/// A read that cannot be paged by cursors.
pub fn no_keyset(details: impl Into<Value>) -> Fault {
    Fault::new(BAD_REQUEST, "RH101", "This read cannot be paged by cursors").with_details(details)
}
