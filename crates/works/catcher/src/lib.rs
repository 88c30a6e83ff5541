//! A catcher of mail for local development: what the local stack sends ends here instead of with people.
//!
//! Messages lie in a folder, one file each, so that they survive the program. They are read on a page, and through
//! the JSON API of Mailpit, which test suites know. Programs under test may send to it by SMTP. It listens on
//! loopback addresses and answers only under names that cannot be somebody else's (see `http/guard`).

mod http;
mod message;
mod search;
mod smtp;
mod store;

pub use store::{Bounds, Catcher};

use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long clients may take to go when the catcher closes.
const GOODBYE: Duration = Duration::from_secs(2);

/// Answers the page and the API until `stop` is cancelled.
pub async fn serve_http(catcher: Catcher, listener: TcpListener, stop: CancellationToken) {
    http::serve(catcher, listener, stop).await;
}

/// Takes messages by SMTP until `stop` is cancelled.
pub async fn serve_smtp(catcher: Catcher, listener: TcpListener, stop: CancellationToken) {
    smtp::serve(catcher, listener, stop).await;
}
