//! `GET /admin/users?limit=…&cursor=…`: the list of users in pages that cost the same however deep they lie, because
//! each begins where the one before ended. The reference has it behind a switch; here whoever asks with these
//! parameters and without `page` gets it.

use super::admin_users::exact;
use crate::Auth;
use crate::call::Call;
use crate::moment::Moment;
use crate::refusal::{Outcome, database, invalid};
use crate::reply;
use crate::store::db::all;
use crate::store::records::User;
use crate::store::users::{self, Page};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

const LIMIT_MAX: u64 = 1000;
/// No cursor of ours is longer.
const CURSOR_BYTES_MAX: usize = 256;
const FAILED: &str = "Database error finding users";

/// Where a page ended. Clients do not look into it.
#[derive(Debug, Deserialize, Serialize)]
struct Cursor {
    created_at: Moment,
    id: Uuid,
}

impl Cursor {
    fn read(text: &str) -> Outcome<Cursor> {
        let bytes = (text.len() <= CURSOR_BYTES_MAX).then(|| B64.decode(text.trim_end_matches('=')).ok());
        let cursor = bytes.flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor.ok_or_else(|| invalid("Bad Pagination Parameters: invalid cursor"))
    }

    fn write(&self) -> String {
        B64.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Whether the request asks for this kind of pages.
pub(super) fn is_wanted(call: &Call) -> bool {
    let has = |name: &str| !call.query(name).is_empty();
    (has("cursor") || has("limit")) && !has("page") && !has("per_page")
}

pub(super) async fn list(
    auth: &Auth,
    call: &Call,
    audience: &str,
    ascending: bool,
) -> Outcome<Response<Body>> {
    let limit = call.number("limit", 50)?;
    if limit == 0 {
        return Err(invalid("Bad Pagination Parameters: limit must be greater than 0"));
    }
    let limit = limit.min(LIMIT_MAX);
    let after = match call.query("cursor") {
        "" => None,
        text => Some(Cursor::read(text)?),
    };
    let filter = Some(call.query("filter")).filter(|filter| !filter.is_empty());
    let page = Page { audience, filter, exact: exact(call)?, ascending, limit: limit + 1, offset: 0 };
    let step = users::list_after(&page, after.map(|cursor| (cursor.created_at, cursor.id)));
    let rows = auth.db.one(step).await.map_err(database(FAILED))?;
    let mut found: Vec<User> = all(&rows).map_err(database(FAILED))?;
    let kept = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > kept;
    found.truncate(kept);
    let last = found.last().filter(|_| has_more);
    let next = last.and_then(|user| Some(Cursor { created_at: user.created_at?, id: user.id }.write()));
    let mut pagination = json!({ "has_more": has_more });
    if let Some(next) = &next {
        pagination["next_cursor"] = json!(next);
    }
    let body = json!({ "users": found, "aud": audience, "pagination": pagination });
    let mut response = reply::ok(&body);
    if let Some(next) = next {
        let mut pairs: Vec<(&str, &str)> =
            call.query.iter().filter(|(key, _)| key != "cursor").map(|(k, v)| (&**k, &**v)).collect();
        pairs.push(("cursor", &next));
        pairs.sort_by_key(|(key, _)| *key);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        reply::set(&mut response, "link", &format!("<{}?{query}>; rel=\"next\"", call.path));
    }
    Ok(response)
}
