//! The threads that render, and who may use them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::limits::Admission;
use crate::queue::{Bounds, Queue};
use crate::room::{Place, Room};
use crate::{Error, Excess, Limits, Options, Rendered, job};

/// A thread that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(20);

/// How much a [`Renderer`] may use.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Most pictures worked on at once.
    pub threads: usize,
    /// How far the threads step behind others, 0–19.
    pub niceness: i32,
    /// Most pictures that wait; a quarter of them from one owner, and less when many wait.
    pub queue: usize,
    /// Most bytes of sources in memory: on their way, waiting or worked on. Shared as a [`Room`] is.
    pub source_bytes: u64,
    /// How long a caller waits, in the line and for the work together.
    pub time_limit: Duration,
    /// Most memory that all jobs take together, by estimate. Shared as a [`Room`] is.
    pub memory: u64,
    /// Limits of one picture.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            // With one thread only, one owner would have all of them.
            threads: (cores / 2).max(2),
            niceness: 10,
            queue: 256,
            source_bytes: 256 * 1024 * 1024,
            time_limit: Duration::from_secs(15),
            memory: 1024 * 1024 * 1024,
            limits: Limits::default(),
        }
    }
}

type Work =
    dyn Fn(&[u8], &Options, &mut Admission<'_>, &dyn Fn() -> bool) -> Result<Rendered, Error> + Send + Sync;

/// Renders pictures in threads of its own. Cheap to clone; threads are started when there is work and end without.
#[derive(Clone)]
pub struct Renderer {
    handle: Arc<Handle>,
}

/// Closes the queue when the last [`Renderer`] is gone.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work_came.notify_all();
    }
}

struct Shared {
    settings: Settings,
    work: Box<Work>,
    state: Mutex<State>,
    work_came: Condvar,
    sources: Room,
    memory: Room,
}

struct State {
    queue: Queue<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

struct Job {
    source: Bytes,
    /// The source's, for as long as it is in memory: also when nobody waits any more.
    _place: Place,
    /// The memory that was not there when it was tried.
    needs: u64,
    options: Options,
    deadline: Instant,
    answer: oneshot::Sender<Result<Rendered, Error>>,
}

impl Job {
    fn wanted(&self) -> bool {
        !self.answer.is_closed() && Instant::now() < self.deadline
    }
}

impl Renderer {
    /// A renderer without threads yet.
    pub fn new(settings: Settings) -> Self {
        Self::working(settings, Box::new(job::render))
    }

    fn working(mut settings: Settings, work: Box<Work>) -> Self {
        settings.threads = settings.threads.max(1);
        // A job that may run at all must find room.
        settings.limits.memory = settings.limits.memory.min(Room::largest(settings.memory));
        let bounds = Bounds {
            waiting: settings.queue,
            waiting_each: (settings.queue / 4).max(1),
            running: settings.threads,
        };
        let state = State { queue: Queue::new(bounds), threads: 0, idle: 0, closed: false };
        let shared = Shared {
            settings,
            work,
            state: Mutex::new(state),
            work_came: Condvar::new(),
            sources: Room::new(settings.source_bytes),
            memory: Room::new(settings.memory),
        };
        Self { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.handle.shared.settings
    }

    /// Makes sure that a source of `bytes` will find room, before it is read. Whoever asks for more than their share
    /// is refused at once.
    pub fn admit(&self, owner: &str, bytes: u64) -> Result<Ticket, Error> {
        let shared = &self.handle.shared;
        if bytes > shared.settings.limits.source_bytes {
            return Err(Error::TooLarge(Excess::Bytes));
        }
        let place = shared.sources.take(owner, bytes).or_else(|| {
            // What nobody waits for any more makes room.
            shared.lock().queue.retain(Job::wanted);
            shared.sources.take(owner, bytes)
        });
        let place = place.ok_or(Error::Busy)?;
        Ok(Ticket { renderer: self.clone(), owner: owner.to_owned(), place })
    }

    /// Renders a `source` that is in memory already.
    pub async fn render(&self, owner: &str, source: Bytes, options: &Options) -> Result<Rendered, Error> {
        self.admit(owner, source.len() as u64)?.render(source, options).await
    }
}

/// The right to have one source in memory, until it is dropped or the source has been worked on.
pub struct Ticket {
    renderer: Renderer,
    owner: String,
    place: Place,
}

impl Ticket {
    /// Renders the source. A caller that goes away takes its work out of the line; work that has begun ends at its
    /// next stage.
    pub async fn render(self, source: Bytes, options: &Options) -> Result<Rendered, Error> {
        if source.len() as u64 > self.place.bytes() {
            return Err(Error::TooLarge(Excess::Bytes));
        }
        let Self { renderer, owner, place } = self;
        let shared = &renderer.handle.shared;
        let (answer, result) = oneshot::channel();
        let deadline = Instant::now() + shared.settings.time_limit;
        shared
            .submit(&owner, Job { source, _place: place, needs: 0, options: *options, deadline, answer })?;
        match tokio::time::timeout_at(deadline.into(), result).await {
            Ok(Ok(result)) => result,
            // The work was dropped because the time was up just then.
            Ok(Err(_)) | Err(_) => Err(Error::Timeout),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, owner: &str, job: Job) -> Result<(), Error> {
        let mut state = self.lock();
        if let Err(job) = state.queue.push(owner, job) {
            state.queue.retain(Job::wanted);
            state.queue.push(owner, job).map_err(|_| Error::Busy)?;
        }
        if state.idle == 0 && state.threads < self.settings.threads {
            let shared = Arc::clone(self);
            match std::thread::Builder::new().name("picture".to_owned()).spawn(move || shared.run()) {
                Ok(_) => state.threads += 1,
                Err(cause) if state.threads == 0 => {
                    tracing::error!(%cause, "no thread for pictures");
                    state.queue.retain(|_| false);
                    return Err(Error::Internal("no thread"));
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.work_came.notify_one();
        Ok(())
    }

    /// What a thread does until there is nothing to do.
    fn run(&self) {
        // On Linux this is the priority of the calling thread.
        let _ = rustix::process::setpriority_process(None, self.settings.niceness);
        while let Some((owner, job)) = self.next() {
            let early = self.perform(&owner, job);
            let mut state = self.lock();
            if let Some(job) = early {
                state.queue.put_back(&owner, job);
            }
            state.queue.done(&owner);
            drop(state);
            // Several may have waited for this thread's owner, or for its memory.
            self.work_came.notify_all();
        }
    }

    fn next(&self) -> Option<(String, Job)> {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.queue.pop(|owner, job| self.fits(owner, job)) {
                return Some(next);
            }
            if state.closed {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (woken, timeout) =
                self.work_came.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.waiting() == 0 {
                state.threads -= 1;
                return None;
            }
        }
    }

    /// Whether a job is to be taken out of the line now. One that nobody wants is: it ends there.
    fn fits(&self, owner: &str, job: &Job) -> bool {
        job.needs == 0 || !job.wanted() || self.memory.fits(owner, job.needs)
    }

    /// Does the work; gives it back if there is no memory for it yet. A thread never waits for memory: others' work may
    /// need less.
    fn perform(&self, owner: &str, job: Job) -> Option<Job> {
        if !job.wanted() {
            return None;
        }
        let mut taken = Vec::new();
        let (mut needs, mut lacks) = (0, false);
        let mut reserve = |bytes: u64| {
            needs += bytes;
            match self.memory.take(owner, bytes) {
                Some(place) => taken.push(place),
                None => lacks = true,
            }
            if lacks { Err(Error::Busy) } else { Ok(()) }
        };
        let mut admission = Admission::new(self.settings.limits, &mut reserve);
        let going = || job.wanted();
        // A decoder that panics on a crafted file must not take the thread with it.
        let result =
            catch_unwind(AssertUnwindSafe(|| (self.work)(&job.source, &job.options, &mut admission, &going)))
                .unwrap_or_else(|_| {
                    tracing::error!("a picture made the renderer panic");
                    Err(Error::Internal("panic"))
                });
        drop(taken);
        if lacks {
            return Some(Job { needs, ..job });
        }
        // Nobody may be waiting any more.
        let _ = job.answer.send(result);
        None
    }
}

#[cfg(test)]
mod tests;
