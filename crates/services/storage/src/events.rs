//! Telling the project's owner what happened to objects: one signed-for POST an event.
//!
//! An event is a row that was written in the transaction in which it happened (schema/events.sql). It is claimed,
//! sent and deleted: whoever is killed in between leaves it to be sent again, so one may arrive twice, but none is
//! lost. A listener that does not answer slows nothing but its own project's events.

use crate::Storage;
use crate::caller::Identity;
use crate::db::{As, Scope, Work};
use crate::refusal::Refusal;
use crate::store::events::{self, Due};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, Method, Request, header};
use model::Secret;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Events that are claimed together, and sent at a time.
const BATCH: u32 = 32;
const AT_A_TIME: usize = 4;
/// Batches of one call; the rest has to wait for another.
const BATCHES_MAX: usize = 4;
/// How long a claim holds.
const CLAIM: Duration = Duration::from_secs(120);
/// How long a listener may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(4);
/// How long after an attempt that failed the next one is made; after the last the event is given up.
const PAUSES_S: [u64; 10] = [5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800];
/// When a listener that took none of a batch is tried again.
const DEAD_PAUSE: Duration = Duration::from_secs(30);
/// When a database that cannot be reached is asked again.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(60);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Who hears of events.
#[derive(Debug, Clone)]
pub struct Listener {
    pub url: String,
    /// Sent as a bearer's token.
    pub key: Secret,
    /// Types that are not sent: `ObjectRemoved:Delete`.
    pub disabled: Vec<String>,
    pub outbound: outbound::Client,
    pub bell: Arc<dyn Bell>,
}

/// Is rung when there may be something to send.
pub trait Bell: Send + Sync + std::fmt::Debug {
    fn ring(&self);
}

impl Storage {
    /// Sends events that are due, for a bounded time. After how long there will be more to send; nothing when there
    /// is none.
    pub async fn deliver_events(&self) -> Option<Duration> {
        let listener = self.settings.events.clone()?;
        match self.deliver_batches(&listener).await {
            Ok(next) => next,
            Err(refused) => {
                let cause = refused.fault.cause().map(ToString::to_string);
                tracing::warn!(project = %self.settings.project, cause, "events that wait cannot be read");
                Some(UNREACHABLE_PAUSE)
            }
        }
    }

    async fn deliver_batches(&self, listener: &Listener) -> Result<Option<Duration>, Refusal> {
        for _ in 0..BATCHES_MAX {
            let rows = self.events_step(events::claim(BATCH, CLAIM)).await?;
            let due = rows.iter().map(Due::of).collect::<Result<Vec<_>, _>>()?;
            if due.is_empty() {
                return self.next_event().await;
            }
            let count = due.len();
            let sent = stream::iter(due).map(|due| async {
                let taken = self.send_event(listener, &due).await;
                (due, taken)
            });
            let fates: Vec<(Due, bool)> = sent.buffer_unordered(AT_A_TIME).collect().await;
            let none_taken = fates.iter().all(|(_, taken)| !taken);
            self.note_events(fates).await?;
            if none_taken {
                return Ok(Some(DEAD_PAUSE));
            }
            if count < BATCH as usize {
                return self.next_event().await;
            }
        }
        Ok(Some(Duration::ZERO))
    }

    async fn note_events(&self, fates: Vec<(Due, bool)>) -> Result<(), Refusal> {
        let mut over = Vec::new();
        let scope = events_scope();
        let mut work = Work::new(&scope, As::Service);
        for (due, taken) in &fates {
            let pause = PAUSES_S.get(due.attempts.saturating_sub(1) as usize);
            match pause.filter(|_| !taken) {
                Some(seconds) => drop(work.service(events::later(due.id, Duration::from_secs(*seconds)))),
                None => over.push(due.id),
            }
            if !taken && pause.is_none() {
                tracing::warn!(project = %self.settings.project, event = due.id, "an event was given up");
            }
        }
        work.service(events::forget(&over));
        self.db.run(&scope, work).await?;
        Ok(())
    }

    /// Whether the listener took the event, or does not want it.
    async fn send_event(&self, listener: &Listener, due: &Due) -> bool {
        let event: Value = serde_json::from_str(&due.event).unwrap_or_default();
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let payload = event.get("payload");
        let word = |name: &str| payload.and_then(|p| p.get(name)?.as_str()).unwrap_or_default();
        if is_disabled(&listener.disabled, kind, (word("bucketId"), word("name"))) {
            return true;
        }
        let body = self.event_body(kind, payload, due.happened).to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&listener.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", listener.key.expose()))
            .body(Bytes::from(body));
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(project = %self.settings.project, %error, "the listener of events cannot be asked");
                return false;
            }
        };
        let limits = outbound::Limits { timeout: SEND_TIMEOUT, body: ANSWER_BYTES_MAX };
        match listener.outbound.send(request, limits).await {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                tracing::debug!(status = answer.status().as_u16(), "an event was not taken");
                false
            }
            Err(error) => {
                tracing::debug!(%error, "an event could not be sent");
                false
            }
        }
    }

    fn event_body(&self, kind: &str, payload: Option<&Value>, happened: i64) -> Value {
        let reference = self.settings.project.as_str();
        let url: Option<http::Uri> = self.settings.public_url.parse().ok();
        let host = url.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let tenant = json!({ "ref": reference, "host": host });
        let mut payload = payload.cloned().unwrap_or_else(|| json!({}));
        payload["tenant"] = tenant.clone();
        json!({
            "type": "Webhook",
            "event": {
                "$version": "v1",
                "type": kind,
                "region": self.settings.s3.region,
                "applyTime": happened,
                "payload": payload,
            },
            "sentAt": crate::metadata::iso(self.clock.now()),
            "tenant": tenant,
        })
    }

    async fn next_event(&self) -> Result<Option<Duration>, Refusal> {
        let rows = self.events_step(events::next_due()).await?;
        let seconds = rows.first().and_then(|row| row.text(0)?.parse::<f64>().ok());
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()))
    }

    async fn events_step(&self, step: crate::db::Step) -> Result<pg::Rows, Refusal> {
        let scope = events_scope();
        let mut work = Work::new(&scope, As::Service);
        let place = work.service(step);
        Ok(self.db.run(&scope, work).await?.of(place)?.clone())
    }

    /// Says that there may be events to send.
    pub(crate) fn ring(&self, method: &Method) {
        if let Some(listener) = &self.settings.events
            && !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        {
            listener.bell.ring();
        }
    }
}

/// Whether a list names the type, or the type of just this object; with `Webhook:` in front, as in the reference, or
/// without.
fn is_disabled(list: &[String], kind: &str, (bucket, name): (&str, &str)) -> bool {
    list.iter().any(|entry| {
        let entry = entry.strip_prefix("Webhook:").unwrap_or(entry);
        match entry.strip_prefix(kind) {
            Some("") => true,
            Some(rest) => {
                rest.strip_prefix(':').and_then(|object| object.strip_prefix(bucket)?.strip_prefix('/'))
                    == Some(name)
            }
            None => false,
        }
    })
}

fn events_scope() -> Scope {
    Scope::new(Identity::service(), &Method::POST, "/", &HeaderMap::new(), "storage.events.deliver")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_single_objects_can_be_left_out() {
        let list =
            ["ObjectRemoved:Delete", "Webhook:ObjectCreated:Put", "Webhook:ObjectCreated:Post:b/a/x.txt"];
        let list = list.map(str::to_owned);
        for (kind, object, disabled) in [
            ("ObjectRemoved:Delete", ("b", "x"), true),
            ("ObjectCreated:Put", ("b", "x"), true),
            ("ObjectCreated:Post", ("b", "a/x.txt"), true),
            ("ObjectCreated:Post", ("b", "x.txt"), false),
            ("ObjectCreated:Post", ("c", "a/x.txt"), false),
            ("ObjectCreated:Copy", ("b", "x"), false),
        ] {
            assert_eq!(is_disabled(&list, kind, object), disabled, "{kind} {object:?}");
        }
    }
}
