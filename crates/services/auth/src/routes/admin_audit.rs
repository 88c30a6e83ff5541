//! `GET /admin/audit`: the audit log.

use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::refusal::{Outcome, database, invalid};
use crate::reply;
use crate::store::audit::{self, Search};
use crate::store::db::all;
use axum::body::Body;
use http::Response;
use serde_json::Value;

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    let (page, per_page) = super::pages::asked(call)?;
    let search = search(call.query("query"))?;
    let offset = super::pages::offset(page, per_page);
    let steps = vec![audit::list(&search, per_page, offset), audit::count(&search)];
    let results = auth.db.run(steps).await.map_err(database("Error searching for audit logs"))?;
    let [found, count] = results.as_slice() else { return Err(invalid("Error searching for audit logs")) };
    let entries: Vec<Value> = all(found).map_err(database("Error searching for audit logs"))?;
    let total = count.one().and_then(|row| row.get(0)).map_err(database("Error searching for audit logs"))?;
    let mut response = reply::ok(&entries);
    super::pages::set_headers(&mut response, call, page, per_page, total);
    Ok(response)
}

/// `author:x`, `action:x` or `type:x`.
fn search(query: &str) -> Outcome<Search> {
    if query.is_empty() {
        return Ok(Search::default());
    }
    let bad = || invalid(format!("Invalid query scope: {query}"));
    let (scope, part) = query.split_once(':').ok_or_else(bad)?;
    let fields: &'static [&'static str] = match scope {
        "author" => &["actor_username", "actor_name"],
        "action" => &["action"],
        "type" => &["log_type"],
        _ => return Err(bad()),
    };
    Ok(Search { fields, pattern: Some(part.to_owned()).filter(|part| !part.is_empty()) })
}
