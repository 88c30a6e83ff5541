//! Resumable uploads, by the protocol of tus.io in version 1.0.0.
//!
//! An upload is a row and a growing body. How far it has come is the length of that body and nothing else, so it goes
//! on after a crash of the client, the connection or the server. Every request asks the caller's policies again. The
//! last one seals the body and has a row of `storage.objects` name it, as any upload does.
//!
//! Refusals have their real status here, and are plain text.

mod answer;
mod create;
mod finish;
mod head;
mod id;
mod lease;
mod location;
mod patch;
mod state;

pub(crate) use lease::{Leases, lost};

use crate::Storage;
use crate::call::{Call, Incoming};
use crate::caller::Identity;
use crate::db::Scope;
use crate::refusal::{self, Outcome, Refusal};
use crate::signed::{self, Granted};
use crate::upload::Permission;
use answer::Answer;
use axum::body::Body;
use http::{Method, Response};

const BASE: &str = "upload/resumable";

/// Whether a path is one of these.
pub(crate) fn is_ours(path: &str) -> bool {
    below(path).is_some()
}

fn below(path: &str) -> Option<&str> {
    let rest = path.trim_start_matches('/').strip_prefix(BASE)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

/// A request, and who sends it.
struct Ask {
    storage: Storage,
    call: Call,
    /// After overriding by a header.
    method: Method,
    /// The upload that the path names.
    id: Option<String>,
    is_signed: bool,
    identity: Identity,
}

/// Answers a request below `/upload/resumable`.
pub(crate) async fn answer(storage: &Storage, call: Call, body: Incoming) -> Response<Body> {
    let rest = below(&call.path).unwrap_or_default().trim_end_matches('/');
    let (is_signed, rest) = match rest.strip_prefix("sign") {
        Some("") => (true, ""),
        Some(after) if after.starts_with('/') => (true, &after[1..]),
        _ => (false, rest),
    };
    let id = rest.rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned);
    let method = head::method(&call);
    if method == Method::OPTIONS {
        return answer::options(storage.settings.file_size_limit);
    }
    let identity = if is_signed { Ok(Identity::service()) } else { identity(storage, &call) };
    let identity = match identity {
        Ok(identity) => identity,
        Err(refused) => return answer::common(crate::routes::refused(&refused)),
    };
    let ask = Ask { storage: storage.clone(), call, method, id, is_signed, identity };
    match run(ask, body.patient(storage.settings.idle_timeout)).await {
        Ok(answer) => answer.into_response(),
        Err(refused) => {
            crate::log(&refused);
            answer::refused(&refused)
        }
    }
}

async fn run(ask: Ask, body: Incoming) -> Outcome<Answer> {
    head::check(&ask.call.headers, &ask.method)?;
    match (&ask.method, &ask.id) {
        (&Method::POST, _) => create::create(ask, body).await,
        (&Method::PATCH, Some(_)) => patch::append(ask, body).await,
        (&Method::HEAD, Some(_)) => state::show(ask).await,
        (&Method::DELETE, Some(_)) => state::terminate(&ask).await,
        _ => Err(Refusal::new(404, "NotFound", "Not found\n")),
    }
}

/// The caller. Nobody is as bad as somebody with a bad token here.
fn identity(storage: &Storage, call: &Call) -> Outcome<Identity> {
    let identity = call.identity(&storage.settings);
    identity.map_err(|refused| {
        if refused.is("InvalidRequest") { refusal::denied("Invalid Compact JWS") } else { refused }
    })
}

impl Ask {
    /// Under what the database runs this request.
    fn scope(&self) -> Scope {
        let operation = match (&self.method, self.is_signed) {
            (&Method::POST, false) => "storage.tus.upload.create",
            (&Method::POST, true) => "storage.tus.upload.create_signed",
            (&Method::PATCH, false) => "storage.tus.upload.part",
            (&Method::PATCH, true) => "storage.tus.upload.part_signed",
            (&Method::DELETE, false) => "storage.tus.upload.delete",
            (&Method::DELETE, true) => "storage.tus.upload.delete_signed",
            (_, false) => "storage.tus.upload.get",
            (_, true) => "storage.tus.upload.get_signed",
        };
        self.call.scope(self.identity.clone(), operation)
    }

    /// Why an upload of this object may happen, and whether it may overwrite.
    fn permission(&self, bucket: &str, key: &str) -> Outcome<(Permission, bool)> {
        if !self.is_signed {
            return Ok((Permission::Policies, self.call.says_true("x-upsert")));
        }
        let token = self
            .call
            .header("x-signature")
            .ok_or_else(|| refusal::invalid_signature("Missing x-signature header"))?;
        let seconds = self.call.unix_seconds();
        let Granted { owner, upsert, .. } =
            signed::check_upload(&self.storage.settings, token, bucket, key, seconds)?;
        Ok((Permission::Token { owner }, upsert))
    }
}
