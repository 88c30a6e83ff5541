//! What the system says of a name, with a bound on the threads that it takes.
//!
//! A look-up cannot be stopped: it holds one of the runtime's threads for blocking work until the system gives up, and
//! files need those threads too. So there is a bound for the whole process. One look-up of each share is drawn from a
//! larger part of it than a second one: names whose servers do not answer cost those who have many of them first.

use crate::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Look-ups of one share at a time.
const SHARE_MAX: usize = 4;
/// Of all shares: those that are a share's only one, and the others. The runtime has 512 threads for blocking work.
const FIRST_MAX: usize = 192;
const FURTHER_MAX: usize = 64;

static THREADS: LazyLock<Threads> = LazyLock::new(|| Threads::new(FIRST_MAX, FURTHER_MAX));

/// The turns of the process.
#[derive(Debug)]
struct Threads {
    first: Arc<Semaphore>,
    further: Arc<Semaphore>,
}

impl Threads {
    fn new(first: usize, further: usize) -> Threads {
        Threads { first: Arc::new(Semaphore::new(first)), further: Arc::new(Semaphore::new(further)) }
    }
}

/// The turns of one share.
#[derive(Debug, Clone)]
pub(crate) struct Names(Arc<Semaphore>);

impl Default for Names {
    fn default() -> Self {
        Names(Arc::new(Semaphore::new(SHARE_MAX)))
    }
}

/// The addresses of a host: of a name what the system says, which also reads the old spellings of addresses, such as
/// `0x7f.1`. Whoever looks up more than one name at a time asks the [`Client`](crate::Client) of their share.
///
/// # Errors
/// [`Error::Timeout`] when the time is up, [`Error::Connect`] when the name is not known.
pub async fn look_up(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
    Names::default().look_up(host, port, timeout).await
}

impl Names {
    /// As [`look_up`], one of this share's look-ups.
    pub(crate) async fn look_up(
        &self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, Error> {
        let host = host.to_owned();
        let found = async move {
            tokio::net::lookup_host((host.as_str(), port)).await.map(Iterator::collect::<Vec<_>>)
        };
        let found = tokio::time::timeout(timeout, self.run(&THREADS, found)).await;
        match found.unwrap_or(Err(Error::Timeout))? {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(Error::Connect("its host is not known".to_owned())),
            Err(error) => Err(Error::Connect(error.to_string())),
        }
    }

    /// Does it when it is its turn, which is over when the thread is free again, not when the caller has given up.
    async fn run<T: Send + 'static>(
        &self,
        threads: &Threads,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> Result<io::Result<T>, Error> {
        let turns = self.turns(threads).await?;
        let work = tokio::spawn(async move {
            let done = work.await;
            drop(turns);
            done
        });
        work.await.map_err(|_| Error::Connect("the look-up was given up".to_owned()))
    }

    async fn turns(&self, threads: &Threads) -> Result<[OwnedSemaphorePermit; 2], Error> {
        let closed = |_| Error::Timeout;
        let own = Arc::clone(&self.0).acquire_owned().await.map_err(closed)?;
        let is_only = self.0.available_permits() + 1 == SHARE_MAX;
        let all = if is_only { &threads.first } else { &threads.further };
        Ok([own, Arc::clone(all).acquire_owned().await.map_err(closed)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    /// Begins a look-up whose caller gives up at once; the sender ends it.
    fn hanging(names: &Names, threads: &Arc<Threads>) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (started, has_started) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let (names, threads) = (names.clone(), Arc::clone(threads));
        tokio::spawn(async move {
            let work = async move {
                let _ = started.send(());
                Ok(ended.await.is_ok())
            };
            names.run(&threads, work).await.is_ok()
        });
        (has_started, end)
    }

    /// Whether it has begun once everything that can go on has gone on.
    async fn begun(has_started: &mut oneshot::Receiver<()>) -> bool {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        has_started.try_recv().is_ok()
    }

    #[tokio::test]
    async fn there_are_turns_for_a_share_and_for_all() {
        let threads = Arc::new(Threads::new(2, 1));
        let (one, two, three) = (Names::default(), Names::default(), Names::default());
        let mut looks = Vec::new();
        // A second one of the same share is not taken from the turns of the others.
        for (names, begins) in [(&one, true), (&one, true), (&one, false), (&two, true), (&three, false)] {
            let (mut has_started, end) = hanging(names, &threads);
            assert_eq!(begun(&mut has_started).await, begins, "look-up {}", looks.len());
            looks.push((has_started, end));
        }
        let (last, _) = looks.pop().unwrap();
        drop(looks.remove(0));
        last.await.unwrap();
    }

    #[tokio::test]
    async fn a_caller_who_gives_up_does_not_free_the_thread() {
        let threads = Threads::new(1, 1);
        let (names, others) = (Names::default(), Names::default());
        let (end, ended) = oneshot::channel::<()>();
        let mut look = Box::pin(names.run(&threads, async move { Ok(ended.await.is_ok()) }));
        tokio::select! {
            biased;
            _ = &mut look => panic!("it has ended"),
            () = tokio::task::yield_now() => {}
        }
        drop(look);
        tokio::select! {
            biased;
            _ = others.run(&threads, async { Ok(()) }) => panic!("there was no thread"),
            () = tokio::task::yield_now() => {}
        }
        drop(end);
        assert!(others.run(&threads, async { Ok(()) }).await.is_ok());
    }

    #[tokio::test]
    async fn names_and_old_spellings_of_addresses_are_found() {
        let found = look_up("localhost", 80, Duration::from_secs(10)).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{found:?}");
        let unknown = look_up("no-such-name.invalid", 80, Duration::from_secs(10)).await;
        assert!(matches!(unknown, Err(Error::Connect(_) | Error::Timeout)), "{unknown:?}");
    }
}
