//! The way to the next page.

use super::Draft;
use crate::faults;
use crate::plan::Keyset;
use crate::request::Query;
use fault::Fault;
use http::HeaderName;
use http::header::LINK;

const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");
/// A longer `Link` is left out: clients and proxies have limits for headers, and the cursor says it all.
const LINK_BYTES_MAX: usize = 4096;

/// Adds the next page's cursor and its link, if there is a next page. `next` has the keys of the last row and of the
/// one after it.
pub fn link(draft: &mut Draft, keyset: &Keyset, next: Option<&str>, query: &Query) -> Result<(), Fault> {
    let Some(next) = next else { return Ok(()) };
    let keys: Vec<Vec<Option<String>>> =
        serde_json::from_str(next).map_err(|_| faults::internal("keys that are no JSON"))?;
    let [last, after] = keys.as_slice() else { return Ok(()) };
    if last == after {
        // A view may show a row of its table several times.
        let why = "Two rows have the same key, so a page could not begin between them.";
        return Err(faults::no_keyset(why));
    }
    let cursor = keyset.cursor(last)?;
    let rest = &query.without_cursor;
    let mark = if rest.is_empty() { "" } else { "&" };
    if rest.len() + cursor.len() <= LINK_BYTES_MAX && !rest.contains(['<', '>', '"', ' ']) {
        // Relative to the request's own address, which clients know and we may not.
        draft.header(LINK, format!("<?{rest}{mark}cursor={cursor}>; rel=\"next\""));
    }
    draft.header(NEXT_CURSOR, cursor);
    Ok(())
}
