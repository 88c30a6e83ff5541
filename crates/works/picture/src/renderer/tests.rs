//! The machinery around the work, with work that ends when the test says so.

use std::sync::mpsc;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn done(name: &[u8]) -> Rendered {
    Rendered { bytes: Bytes::copy_from_slice(name), content_type: "image/png" }
}

/// A renderer whose work tells that it began and then waits for a word; a source of `n` bytes takes `n` of memory.
struct Held {
    renderer: Renderer,
    began: Mutex<mpsc::Receiver<Vec<u8>>>,
    go: mpsc::Sender<()>,
}

fn held(settings: Settings) -> Held {
    let (tell, began) = mpsc::channel();
    let (go, word) = mpsc::channel();
    let (tell, word) = (Mutex::new(tell), Mutex::new(word));
    let work = move |source: &[u8], _: &Options, admission: &mut Admission<'_>, going: &dyn Fn() -> bool| {
        (admission.reserve)(source.len() as u64)?;
        tell.lock().expect("lock").send(source.to_vec()).expect("the test listens");
        word.lock().expect("lock").recv_timeout(LONG).expect("a word");
        if going() { Ok(done(source)) } else { Err(Error::Timeout) }
    };
    Held { renderer: Renderer::working(settings, Box::new(work)), began: Mutex::new(began), go }
}

impl Held {
    fn start(
        &self,
        owner: &'static str,
        source: &'static [u8],
    ) -> tokio::task::JoinHandle<Result<Rendered, Error>> {
        let renderer = self.renderer.clone();
        tokio::spawn(
            async move { renderer.render(owner, Bytes::from_static(source), &Options::default()).await },
        )
    }

    /// Waits until work begins, and says that it is this.
    async fn begins(&self, source: &[u8]) {
        let deadline = Instant::now() + LONG;
        loop {
            let begun = self.began.lock().expect("lock").try_recv();
            match begun {
                Ok(begun) => return assert_eq!(begun, source),
                Err(_) => assert!(Instant::now() < deadline, "no work begins"),
            }
            tokio::task::yield_now().await;
        }
    }

    async fn waiting(&self, count: usize) {
        while self.renderer.handle.shared.lock().queue.waiting() != count {
            tokio::task::yield_now().await;
        }
    }
}

fn settings() -> Settings {
    Settings { threads: 2, queue: 8, time_limit: LONG, ..Settings::default() }
}

#[tokio::test]
async fn one_owner_cannot_have_all_threads() {
    let held = held(settings());
    let first = held.start("a", b"a1");
    held.begins(b"a1").await;
    let second = held.start("a", b"a2");
    held.waiting(1).await;
    let other = held.start("b", b"b1");
    held.begins(b"b1").await;
    // Whoever asks first takes a word, so there is one for each.
    for _ in 0..3 {
        held.go.send(()).expect("go");
    }
    for (task, name) in [(first, b"a1"), (other, b"b1"), (second, b"a2")] {
        assert_eq!(task.await.expect("task"), Ok(done(name)));
    }
}

#[tokio::test]
async fn too_much_waiting_is_refused_and_leavers_make_room() {
    let held = held(settings());
    let running = held.start("a", b"a1");
    held.begins(b"a1").await;
    let leaving = held.start("a", b"a2");
    held.waiting(1).await;
    let staying = held.start("a", b"a3");
    held.waiting(2).await;
    let refused = held.renderer.render("a", Bytes::from_static(b"a4"), &Options::default()).await;
    assert_eq!(refused, Err(Error::Busy));
    leaving.abort();
    assert!(leaving.await.expect_err("aborted").is_cancelled());
    let late = held.start("a", b"a4");
    for _ in 0..3 {
        held.go.send(()).expect("go");
    }
    for (task, name) in [(running, b"a1"), (staying, b"a3"), (late, b"a4")] {
        assert_eq!(task.await.expect("task"), Ok(done(name)));
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_the_limit() {
    let held = held(Settings { time_limit: Duration::from_millis(20), ..settings() });
    assert_eq!(held.start("a", b"a1").await.expect("task"), Err(Error::Timeout));
}

#[tokio::test]
async fn work_that_nobody_waits_for_keeps_its_thread_until_it_ends() {
    let held = held(Settings { threads: 1, ..settings() });
    let left = held.start("a", b"a1");
    held.begins(b"a1").await;
    left.abort();
    assert!(left.await.expect_err("aborted").is_cancelled());
    let next = held.start("b", b"b1");
    held.waiting(1).await;
    held.go.send(()).expect("go");
    held.begins(b"b1").await;
    held.go.send(()).expect("go");
    assert_eq!(next.await.expect("task"), Ok(done(b"b1")));
}

#[tokio::test]
async fn a_panic_costs_one_answer_and_no_thread() {
    let work = |source: &[u8], _: &Options, _: &mut Admission<'_>, _: &dyn Fn() -> bool| match source {
        b"bad" => panic!("a test of panics"),
        source => Ok(done(source)),
    };
    let renderer = Renderer::working(Settings { threads: 1, ..settings() }, Box::new(work));
    let options = Options::default();
    let bad = renderer.render("a", Bytes::from_static(b"bad"), &options).await;
    assert_eq!(bad, Err(Error::Internal("panic")));
    assert_eq!(renderer.render("a", Bytes::from_static(b"good"), &options).await, Ok(done(b"good")));
}

#[tokio::test]
async fn who_waits_for_memory_keeps_no_thread_from_others() {
    let limits = Limits { memory: 3, ..Limits::default() };
    let held = held(Settings { memory: 4, limits, ..settings() });
    let first = held.start("a", b"123");
    held.begins(b"123").await;
    let second = held.start("b", b"45");
    held.waiting(1).await;
    let third = held.start("c", b"");
    held.begins(b"").await;
    assert!(held.began.lock().expect("lock").try_recv().is_err(), "there is no memory for the second");
    for _ in 0..3 {
        held.go.send(()).expect("go");
    }
    assert_eq!(first.await.expect("task"), Ok(done(b"123")));
    assert_eq!(third.await.expect("task"), Ok(done(b"")));
    assert_eq!(second.await.expect("task"), Ok(done(b"45")));
}

#[tokio::test]
async fn who_has_much_memory_waits_for_who_has_none() {
    let held = held(Settings { memory: 8, threads: 8, ..settings() });
    let first = held.start("a", b"12");
    held.begins(b"12").await;
    let second = held.start("a", b"3");
    held.begins(b"3").await;
    let third = held.start("a", b"456");
    held.waiting(1).await;
    let other = held.start("b", b"78");
    held.begins(b"78").await;
    assert!(held.began.lock().expect("lock").try_recv().is_err(), "a would have more than it leaves");
    for _ in 0..4 {
        held.go.send(()).expect("go");
    }
    for (task, name) in [(first, &b"12"[..]), (second, b"3"), (third, b"456"), (other, b"78")] {
        assert_eq!(task.await.expect("task"), Ok(done(name)));
    }
}

#[tokio::test]
async fn a_source_counts_for_as_long_as_it_is_in_memory() {
    let held = held(Settings { threads: 1, source_bytes: 8, ..settings() });
    let left = held.start("a", b"1234");
    held.begins(b"1234").await;
    left.abort();
    assert!(left.await.expect_err("aborted").is_cancelled());
    assert_eq!(held.renderer.admit("a", 1).err(), Some(Error::Busy), "it is worked on");
    let waiting = held.start("b", b"12");
    held.waiting(1).await;
    assert_eq!(held.renderer.admit("c", 2).err(), Some(Error::Busy), "both are there");
    waiting.abort();
    assert!(waiting.await.expect_err("aborted").is_cancelled());
    assert!(held.renderer.admit("c", 2).is_ok(), "who left the line makes room");
    held.go.send(()).expect("go");
}

#[tokio::test]
async fn a_source_over_the_limit_never_waits() {
    let limits = Limits { source_bytes: 4, ..Limits::default() };
    let renderer = Renderer::new(Settings { limits, ..settings() });
    let refused = renderer.render("a", Bytes::from_static(b"12345"), &Options::default()).await;
    assert_eq!(refused, Err(Error::TooLarge(Excess::Bytes)));
}

#[tokio::test]
async fn sources_in_memory_are_bounded() {
    let renderer = Renderer::new(Settings { source_bytes: 10, ..settings() });
    let ticket = renderer.admit("a", 5).expect("room");
    assert_eq!(renderer.admit("a", 1).err(), Some(Error::Busy));
    let other = renderer.admit("b", 3).expect("room");
    assert_eq!(renderer.admit("c", 2).err(), Some(Error::Busy));
    drop(other);
    let longer = ticket.render(Bytes::from_static(b"123456"), &Options::default()).await;
    assert_eq!(longer, Err(Error::TooLarge(Excess::Bytes)), "more than was said");
    assert!(renderer.admit("a", 5).is_ok(), "the ticket is back");
}
