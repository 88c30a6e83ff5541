//! The headers of lists that come in pages.

use crate::call::Call;
use crate::refusal::Outcome;
use crate::reply;
use axum::body::Body;
use http::Response;

/// The most entries of a page; more are asked for in vain.
const PER_PAGE_MAX: u64 = 1000;

/// The page asked for and how many entries it holds.
pub(super) fn asked(call: &Call) -> Outcome<(u64, u64)> {
    Ok((call.number("page", 1)?, call.number("per_page", 50)?.min(PER_PAGE_MAX)))
}

/// How many entries come before a page.
pub(super) fn offset(page: u64, per_page: u64) -> u64 {
    page.saturating_sub(1).saturating_mul(per_page).min(i64::MAX as u64)
}

/// `Link` to the next and last page, with the parameters sorted by name, and `X-Total-Count`.
pub(super) fn set_headers(response: &mut Response<Body>, call: &Call, page: u64, per_page: u64, total: u64) {
    let last = if per_page == 0 { 0 } else { total.div_ceil(per_page) };
    let mut links = Vec::new();
    if last > page {
        links.push(format!("<{}>; rel=\"next\"", url(call, page + 1)));
    }
    links.push(format!("<{}>; rel=\"last\"", url(call, last)));
    reply::set(response, "link", &links.join(", "));
    reply::set(response, "x-total-count", &total.to_string());
}

fn url(call: &Call, page: u64) -> String {
    let mut pairs: Vec<(&str, &str)> =
        call.query.iter().filter(|(key, _)| key != "page").map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let page = page.to_string();
    pairs.push(("page", &page));
    pairs.sort_by_key(|(key, _)| *key);
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{}?{query}", call.path)
}
