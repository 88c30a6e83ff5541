//! Sending what waits in the outbox.
//!
//! A message is claimed for some time, sent, and deleted: whoever is killed in between leaves it to be sent again
//! when the claim is over. So a message may arrive twice, with the same `Message-ID`, but none is lost: one that
//! cannot be sent in time is kept with the reason.

use crate::Auth;
use crate::letters::{self, Content};
use crate::moment::Moment;
use crate::store::db::{Step, all, first};
use crate::store::outbox::{self, Channel, Due};
use futures_util::stream::{self, StreamExt};
use mail::{Line, SendError};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Messages that are claimed together, and sent at a time.
const BATCH: u32 = 16;
const AT_A_TIME: u32 = 4;
/// Batches of one call; the rest has to wait for another.
const BATCHES_MAX: usize = 2;
/// How long a claim holds. All of a batch has been sent or given up by then.
const CLAIM: Duration = Duration::from_secs(240);
/// How long after an attempt that failed the next one is made.
const PAUSES_S: [u64; 8] = [5, 15, 60, 300, 900, 1800, 3600, 3600];
/// When a mail server that took none of a batch is tried again.
const DEAD_SERVER_PAUSE: Duration = Duration::from_secs(30);
/// When a database that cannot be reached is asked again.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(60);
/// How long messages that were given up are kept, and how many.
const KEPT: Duration = Duration::from_secs(30 * 86_400);
const KEPT_MAX: u32 = 500;

/// What became of a message.
enum Fate {
    Sent,
    Later(String),
    Never(String),
}

impl Auth {
    /// Sends the mail that is due, for a bounded time. After how long there will be more to send; nothing when
    /// there is none. What the database refuses now it would refuse again: that waits for the next message.
    pub async fn deliver(&self) -> Option<Duration> {
        match self.deliver_batches().await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "mail that waits cannot be read");
                error.db().is_none().then_some(UNREACHABLE_PAUSE)
            }
        }
    }

    async fn deliver_batches(&self) -> Result<Option<Duration>, pg::Error> {
        let mut line: Option<Result<Line, SendError>> = None;
        for _ in 0..BATCHES_MAX {
            let now = self.now();
            let claim = outbox::claim(Channel::Email, now, now.plus(CLAIM), BATCH);
            let due: Vec<Due> = all(&self.db.one(claim).await?)?;
            if due.is_empty() {
                return self.next_due().await;
            }
            if line.is_none() {
                line = Some(self.settings.mail.carrier.open(AT_A_TIME).await);
            }
            let count = due.len();
            let fates = self.send_all(due, line.as_ref()).await;
            let none_sent = fates.iter().all(|(_, fate)| matches!(fate, Fate::Later(_)));
            self.note(fates).await?;
            if count < BATCH as usize {
                return self.next_due().await;
            }
            if none_sent {
                // A server that takes nothing may not keep the others' mail waiting.
                return Ok(Some(DEAD_SERVER_PAUSE));
            }
        }
        Ok(Some(Duration::ZERO))
    }

    /// Sends messages, some at a time.
    async fn send_all(&self, due: Vec<Due>, line: Option<&Result<Line, SendError>>) -> Vec<(Due, Fate)> {
        let sent = stream::iter(due).map(|due| async {
            let fate = self.send(&due, line).await;
            (due, fate)
        });
        sent.buffer_unordered(AT_A_TIME as usize).collect().await
    }

    async fn send(&self, due: &Due, line: Option<&Result<Line, SendError>>) -> Fate {
        if due.expires_at.is_some_and(|expires| expires <= self.now()) {
            return Fate::Never(match due.attempts {
                0 | 1 => "it could not be sent before it expired".to_owned(),
                _ => "it expired before an attempt to send it succeeded".to_owned(),
            });
        }
        let Some(user) = &due.user else { return Fate::Never("the user does not exist any more".to_owned()) };
        if !due.is_current {
            return Fate::Never("its code was used or replaced before it could be sent".to_owned());
        }
        let content = Content { kind: &due.kind, to: &due.recipient, data: &due.data, user };
        let Some(letter) = letters::write(&self.settings.mail, &content, self.message_id(due)) else {
            return Fate::Never("there is no text for this kind of message".to_owned());
        };
        let result = match line {
            Some(Ok(line)) => line.send(&letter).await,
            Some(Err(error)) => Err(error.clone()),
            None => Ok(()),
        };
        match result {
            Ok(()) => Fate::Sent,
            Err(error) if error.is_final => Fate::Never(error.reason),
            Err(error) => Fate::Later(error.reason),
        }
    }

    /// Writes down what became of messages.
    async fn note(&self, fates: Vec<(Due, Fate)>) -> Result<(), pg::Error> {
        let now = self.now();
        let mut steps: Vec<Step> = Vec::new();
        let mut lost = false;
        for (due, fate) in fates {
            let fate = match fate {
                Fate::Later(reason) => match pause(&due, now) {
                    Some(at) => {
                        tracing::warn!(kind = due.kind, attempts = due.attempts, %reason, "a mail is put off");
                        steps.push(outbox::retry(due.id, at, &reason));
                        continue;
                    }
                    None => Fate::Never(reason),
                },
                fate => fate,
            };
            match fate {
                Fate::Sent => steps.push(outbox::delete(due.id)),
                Fate::Later(reason) | Fate::Never(reason) => {
                    tracing::warn!(kind = due.kind, attempts = due.attempts, %reason, "a mail is given up");
                    steps.push(outbox::fail(due.id, now, &reason));
                    lost = true;
                }
            }
        }
        if lost {
            steps.push(outbox::trim(now.minus(KEPT), KEPT_MAX));
        }
        self.db.run(steps).await.map(drop)
    }

    async fn next_due(&self) -> Result<Option<Duration>, pg::Error> {
        let rows = self.db.one(outbox::next(Channel::Email)).await?;
        let next: Option<Option<Moment>> = first(&rows).unwrap_or_default();
        let seconds = next.flatten().map(|at| at.seconds_since(self.now()).max(0));
        // A moment is counted in whole seconds: half of one too early would find nothing.
        Ok(seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0) + 1)))
    }

    fn now(&self) -> Moment {
        Moment::from_system(self.clock.now())
    }

    /// The same at every attempt, and nobody's business.
    fn message_id(&self, due: &Due) -> String {
        let mut hash = Sha256::new();
        for part in [self.settings.external_url.as_str(), &due.id.to_string(), &due.created_at.to_string()] {
            hash.update(part);
            hash.update([0]);
        }
        hex::encode(&hash.finalize()[..16])
    }
}

/// When the next attempt is made; nothing when there is no use in one.
fn pause(due: &Due, now: Moment) -> Option<Moment> {
    let tried = usize::try_from(due.attempts).unwrap_or(usize::MAX).saturating_sub(1);
    let at = now.plus(Duration::from_secs(*PAUSES_S.get(tried)?));
    due.expires_at.is_none_or(|expires| at < expires).then_some(at)
}
