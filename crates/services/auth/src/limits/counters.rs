//! What has been counted of a project: kept apart from its services, so that nobody begins anew by waiting until those
//! are dropped.

use super::Bucket;
use crate::moment::Moment;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Clients and names remembered; beyond it the one that was seen longest ago is forgotten.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
/// Wrong codes in a row after which the right one is taken away. The reference lets one guess for ever.
const WRONG_CODES_MAX: u32 = 10;
/// Guesses at one second factor in an hour.
const GUESSES_MAX: u32 = 10;
const HOUR_S: i64 = 3600;
/// How long wrong codes are remembered: no code is good for longer.
const DAY_S: i64 = 86_400;

/// What has been counted of one project: the requests of its clients, its messages, wrong codes.
#[derive(Debug)]
pub struct Counters {
    clients: Mutex<LruCache<(Bucket, String), Level>>,
    mails: Mutex<Window>,
    texts: Mutex<Window>,
    guesses: Mutex<LruCache<String, Guesses>>,
}

/// The tokens left in a bucket.
#[derive(Debug, Clone, Copy)]
struct Level {
    tokens: f64,
    at: i64,
    /// When it is as if nobody had taken any.
    full_at: i64,
}

/// How fast a bucket is filled, and how much it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// Tokens a second.
    pub(super) refill: f64,
    pub(super) burst: f64,
}

/// Messages of a time.
#[derive(Debug, Default)]
struct Window {
    start: i64,
    count: u32,
    /// When it is as if there had been none.
    over_at: i64,
}

/// Codes that were tried for a name.
#[derive(Debug, Default)]
struct Guesses {
    /// Wrong ones in a row.
    row: u32,
    /// In the hour since `start`, those that are being looked at included.
    hour: u32,
    start: i64,
    last: i64,
}

/// There is no room until so many seconds have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) wait_s: i64,
}

/// How many messages there may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// So many in every hour.
    Hourly(u32),
    /// So many, and one more after each time of this length.
    Bucket(u32, Duration),
}

/// Which messages are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Messages {
    Mails,
    Texts,
}

/// A bounded cache that takes memory only for what is in it: one made with its capacity would take a quarter of a
/// megabyte of every project that is in use.
fn growing<K: std::hash::Hash + Eq, V>() -> Mutex<LruCache<K, V>> {
    let mut cache = LruCache::unbounded();
    cache.resize(REMEMBERED_MAX);
    Mutex::new(cache)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Counters {
    fn default() -> Self {
        Counters { clients: growing(), mails: Mutex::default(), texts: Mutex::default(), guesses: growing() }
    }
}

impl Counters {
    /// Forgets what makes no difference any more, and says how much is left. Without a project's services it is only
    /// less and less.
    pub fn settle(&self, now: SystemTime) -> usize {
        let now = Moment::from_system(now).unix();
        let windows = [&self.mails, &self.texts].map(|window| held(window).over_at > now);
        let clients = keep(&self.clients, |level| level.full_at > now);
        let guesses = keep(&self.guesses, |guesses| guesses.last + DAY_S > now);
        clients + guesses + windows.into_iter().filter(|is_open| *is_open).count()
    }

    /// Counts a guess at something secret; false when there have been too many in the hour.
    pub fn note_guess(&self, name: &str, now: SystemTime) -> bool {
        self.begin_guess(name, Moment::from_system(now)).is_ok()
    }

    /// Takes a token of a client's bucket.
    pub(super) fn take(&self, bucket: Bucket, client: String, rate: Rate, now: Moment) -> Result<(), Full> {
        let now = now.unix();
        let Rate { refill, burst } = rate;
        let mut clients = held(&self.clients);
        let fresh = || Level { tokens: burst, at: now, full_at: now };
        let level = clients.get_or_insert_mut((bucket, client), fresh);
        let passed = (now - level.at).max(0);
        level.tokens = (level.tokens + passed as f64 * refill).min(burst);
        level.at += passed;
        let seconds = |tokens: f64| if refill > 0.0 { (tokens / refill).ceil() as i64 } else { HOUR_S };
        if level.tokens < 1.0 {
            return Err(Full { wait_s: seconds(1.0 - level.tokens) });
        }
        level.tokens -= 1.0;
        level.full_at = now.saturating_add(seconds(burst - level.tokens));
        Ok(())
    }

    /// Counts a message.
    pub(super) fn count(&self, messages: Messages, pace: Pace, now: Moment) -> Result<(), Full> {
        let window = match messages {
            Messages::Mails => &self.mails,
            Messages::Texts => &self.texts,
        };
        held(window).count(pace, now.unix())
    }

    /// Counts a wrong code for a name. True when it was one too many; the row begins again then.
    pub(super) fn count_wrong_code(&self, name: &str, now: Moment) -> bool {
        let mut guesses = held(&self.guesses);
        let of_name = guesses.get_or_insert_mut(name.to_owned(), Guesses::default);
        of_name.last = now.unix();
        of_name.row += 1;
        let is_too_many = of_name.row >= WRONG_CODES_MAX;
        if is_too_many {
            of_name.row = 0;
        }
        is_too_many
    }

    /// Lets somebody guess, before it is known how well: of several at once each counts.
    pub(super) fn begin_guess(&self, name: &str, now: Moment) -> Result<(), (u32, Full)> {
        let now = now.unix();
        let mut guesses = held(&self.guesses);
        let of_name = guesses.get_or_insert_mut(name.to_owned(), Guesses::default);
        if now - of_name.start >= HOUR_S {
            (of_name.start, of_name.hour) = (now, 0);
        }
        of_name.last = now;
        if of_name.hour >= GUESSES_MAX {
            return Err((GUESSES_MAX, Full { wait_s: (of_name.start + HOUR_S - now).max(1) }));
        }
        of_name.hour += 1;
        Ok(())
    }

    /// What had begun as a guess was none.
    pub(super) fn end_guess(&self, name: &str) {
        if let Some(of_name) = held(&self.guesses).peek_mut(name) {
            of_name.hour = of_name.hour.saturating_sub(1);
        }
    }

    /// Forgets the wrong codes for a name, after a right one.
    pub(super) fn forget(&self, name: &str) {
        held(&self.guesses).pop(name);
    }
}

/// Keeps some of a cache's values and says how many.
fn keep<K: std::hash::Hash + Eq + Clone, V>(
    cache: &Mutex<LruCache<K, V>>,
    wanted: impl Fn(&V) -> bool,
) -> usize {
    let mut cache = held(cache);
    let gone: Vec<K> = cache.iter().filter(|(_, value)| !wanted(value)).map(|(key, _)| key.clone()).collect();
    gone.iter().for_each(|key| drop(cache.pop(key)));
    cache.len()
}

impl Window {
    fn count(&mut self, pace: Pace, now: i64) -> Result<(), Full> {
        match pace {
            Pace::Hourly(limit) => {
                if now - self.start >= HOUR_S {
                    *self = Window { start: now, count: 0, over_at: now };
                }
                self.over_at = self.start + HOUR_S;
                self.add(limit, self.over_at - now)
            }
            Pace::Bucket(limit, every) => {
                let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
                let back = (now - self.start).max(0) / every;
                if self.start == 0 || back >= i64::from(self.count) {
                    *self = Window { start: now, count: 0, over_at: now };
                } else {
                    self.start += back * every;
                    self.count -= u32::try_from(back).unwrap_or(self.count);
                }
                let added = self.add(limit, self.start.saturating_add(every) - now);
                self.over_at = self.start.saturating_add(every.saturating_mul(i64::from(self.count)));
                added
            }
        }
    }

    fn add(&mut self, limit: u32, wait_s: i64) -> Result<(), Full> {
        if self.count >= limit {
            return Err(Full { wait_s: wait_s.max(1) });
        }
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn moment(seconds: u64) -> Moment {
        Moment::from_system(at(seconds))
    }

    #[test]
    fn a_bucket_gets_one_back_at_a_time() {
        let (counters, minute) = (Counters::default(), Duration::from_secs(60));
        let room = |seconds: u64| {
            counters
                .count(Messages::Mails, Pace::Bucket(2, minute), moment(seconds))
                .map_err(|full| full.wait_s)
        };
        assert_eq!(
            [room(0), room(0), room(59), room(60), room(61), room(119)],
            [Ok(()), Ok(()), Err(1), Ok(()), Err(59), Err(1)]
        );
        assert_eq!([room(1000), room(1000), room(1001)], [Ok(()), Ok(()), Err(59)]);
    }

    #[test]
    fn an_hour_is_full_until_it_is_over() {
        let counters = Counters::default();
        let room = |seconds: u64| {
            counters.count(Messages::Texts, Pace::Hourly(1), moment(seconds)).map_err(|full| full.wait_s)
        };
        assert_eq!([room(0), room(1), room(3599), room(3600)], [Ok(()), Err(3599), Err(1), Ok(())]);
        assert_eq!(counters.count(Messages::Mails, Pace::Hourly(1), moment(1)), Ok(()));
    }

    #[test]
    fn what_makes_no_difference_any_more_is_forgotten() {
        let counters = Counters::default();
        let rate = Rate { refill: 0.1, burst: 30.0 };
        for client in ["a", "b"] {
            counters.take(Bucket::Otp, client.to_owned(), rate, moment(0)).unwrap();
        }
        counters.take(Bucket::Otp, "a".to_owned(), rate, moment(0)).unwrap();
        counters.count(Messages::Mails, Pace::Hourly(5), moment(0)).unwrap();
        counters.begin_guess("factor", moment(0)).unwrap();
        assert_eq!([9, 10, 20].map(|seconds| counters.settle(at(seconds))), [4, 3, 2]);
        assert_eq!([3599, 3600, 86_399, 86_400].map(|seconds| counters.settle(at(seconds))), [2, 1, 1, 0]);
    }

    #[test]
    fn guesses_that_are_looked_at_together_all_count() {
        let counters = Counters::default();
        for _ in 0..GUESSES_MAX {
            assert_eq!(counters.begin_guess("factor", moment(0)), Ok(()));
        }
        assert_eq!(counters.begin_guess("factor", moment(10)), Err((10, Full { wait_s: 3590 })));
        counters.end_guess("factor");
        assert_eq!(counters.begin_guess("factor", moment(10)), Ok(()));
        assert!(counters.begin_guess("factor", moment(3599)).is_err());
        assert_eq!(counters.begin_guess("factor", moment(3600)), Ok(()));
        assert_eq!(counters.begin_guess("another", moment(10)), Ok(()));
    }
}
