//! A load generator for HTTP/1.1 over kept connections: one thread, raw sockets, one request at a time on each.
//! It takes a few microseconds a request, so that it does not stand in the way of what it measures.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};

use super::{Answer, Figures, Talk};

/// How long the generator waits for any answer at all.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What to do, and for how long.
pub struct Load {
    pub port: u16,
    pub duration: Duration,
    /// Answers that arrive within this time from the start are not counted.
    pub warm_up: Duration,
}

/// Talks over as many connections as there are talkers. The requests that are under way at the end are not counted.
pub fn run(load: &Load, talkers: Vec<Box<dyn Talk>>) -> Result<Figures> {
    let mut lines: Vec<Line> =
        talkers.into_iter().map(|talk| Line::open(load.port, talk)).collect::<Result<_>>()?;
    let begun = Instant::now() + load.warm_up;
    let end = begun + load.duration;
    let mut figures = Figures::default();
    for line in &mut lines {
        line.ask(None)?;
    }
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        for ready in wait(&lines)? {
            let line = &mut lines[ready];
            line.push()?;
            if line.pull()? {
                let now = Instant::now();
                if (begun..end).contains(&now) {
                    figures.note(now - line.asked);
                }
                let answer = line.input.take();
                line.ask(Some(answer))?;
            }
        }
    }
    figures.seconds = load.duration.as_secs_f64();
    Ok(figures)
}

impl Figures {
    fn note(&mut self, latency: Duration) {
        self.requests += 1.0;
        self.latency_sum_ms += latency.as_secs_f64() * 1e3;
        self.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }
}

/// The connections on which something can be done.
fn wait(lines: &[Line]) -> Result<Vec<usize>> {
    let mut fds: Vec<PollFd> = lines
        .iter()
        .map(|line| {
            let writes = if line.sent < line.output.len() { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::new(&line.stream, PollFlags::IN | writes)
        })
        .collect();
    let limit = rustix::event::Timespec { tv_sec: SILENCE_MAX.as_secs() as i64, tv_nsec: 0 };
    match poll(&mut fds, Some(&limit)) {
        Ok(0) => bail!("no answer within {} s", SILENCE_MAX.as_secs()),
        Ok(_) => Ok((0..fds.len()).filter(|at| !fds[*at].revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(Vec::new()),
        Err(error) => Err(error).context("poll"),
    }
}

/// One connection.
struct Line {
    stream: TcpStream,
    talk: Box<dyn Talk>,
    output: Arc<[u8]>,
    sent: usize,
    asked: Instant,
    input: Input,
}

impl Line {
    fn open(port: u16, talk: Box<dyn Talk>) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let output = Arc::from([]);
        Ok(Line { stream, talk, output, sent: 0, asked: Instant::now(), input: Input::default() })
    }

    /// Asks what comes next.
    fn ask(&mut self, answer: Option<Taken>) -> Result<()> {
        self.output = match answer {
            Some(taken) => {
                let body = &taken.bytes[taken.body.clone()];
                let next = self.talk.next(Some(Answer { status: taken.status, body }))?;
                self.input.give_back(taken);
                next
            }
            None => self.talk.next(None)?,
        };
        self.sent = 0;
        self.asked = Instant::now();
        self.push()
    }

    /// Writes what is left of the request.
    fn push(&mut self) -> Result<()> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("writing a request"),
            }
        }
        Ok(())
    }

    /// Reads once; whether the answer is whole. What is left is told by the next poll.
    fn pull(&mut self) -> Result<bool> {
        match self.stream.read(self.input.room()) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(n) => self.input.filled += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("reading an answer"),
        }
        self.input.is_whole()
    }
}

/// An answer on its way in.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    filled: usize,
    head: Option<Head>,
}

struct Head {
    status: u16,
    /// Where the body begins.
    body: usize,
    framing: Framing,
}

enum Framing {
    Length(usize),
    /// Where the next chunk's size stands.
    Chunked(usize),
}

/// A whole answer, taken out of the buffer.
struct Taken {
    bytes: Vec<u8>,
    status: u16,
    body: std::ops::Range<usize>,
}

impl Input {
    const ROOM: usize = 16 * 1024;

    fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() < self.filled + Self::ROOM {
            self.bytes.resize(self.filled + Self::ROOM, 0);
        }
        &mut self.bytes[self.filled..]
    }

    fn is_whole(&mut self) -> Result<bool> {
        let bytes = &self.bytes[..self.filled];
        if self.head.is_none() {
            self.head = head(bytes)?;
        }
        let Some(head) = &mut self.head else { return Ok(false) };
        match &mut head.framing {
            Framing::Length(length) => Ok(bytes.len() >= head.body + *length),
            Framing::Chunked(at) => chunks_end(bytes, at),
        }
    }

    fn take(&mut self) -> Taken {
        let status = self.head.as_ref().map_or(0, |head| head.status);
        let body = self.head.take().map_or(0, |head| head.body);
        let bytes = std::mem::take(&mut self.bytes);
        Taken { bytes, status, body: body..std::mem::take(&mut self.filled) }
    }

    fn give_back(&mut self, taken: Taken) {
        self.bytes = taken.bytes;
    }
}

/// The head of an answer, once it is all there.
fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).context("an answer's head")?;
    let status: u16 = text.get(9..12).and_then(|digits| digits.parse().ok()).context("no status line")?;
    let mut framing = Framing::Length(0);
    for line in text.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked(end + 4);
        }
    }
    Ok(Some(Head { status, body: end + 4, framing }))
}

/// Goes on from chunk to chunk; whether the last one is there.
fn chunks_end(bytes: &[u8], at: &mut usize) -> Result<bool> {
    while let Some(line) = bytes.get(*at..).and_then(|rest| rest.windows(2).position(|two| two == b"\r\n")) {
        let size = std::str::from_utf8(&bytes[*at..*at + line])?;
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk's size")?;
        let next = *at + line + 2 + size + 2;
        if size == 0 {
            return Ok(bytes.len() >= next);
        }
        if bytes.len() < next {
            return Ok(false);
        }
        *at = next;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses and bodies of a text that arrives in pieces of `piece` bytes.
    fn read(text: &str, piece: usize) -> Option<(u16, String)> {
        let mut input = Input::default();
        for part in text.as_bytes().chunks(piece) {
            input.room()[..part.len()].copy_from_slice(part);
            input.filled += part.len();
            if input.is_whole().unwrap() {
                let taken = input.take();
                return Some((taken.status, String::from_utf8_lossy(&taken.bytes[taken.body]).into_owned()));
            }
        }
        None
    }

    #[test]
    fn answers_in_pieces_are_put_together() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked = "HTTP/1.1 206 P\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        let empty = "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n";
        for piece in [1, 2, 7, 1000] {
            assert_eq!(read(plain, piece), Some((200, "hello".to_owned())));
            assert_eq!(read(chunked, piece).map(|(status, _)| status), Some(206));
            assert_eq!(read(empty, piece), Some((204, String::new())));
        }
        assert_eq!(read(&plain[..plain.len() - 1], 3), None);
        assert_eq!(read(&chunked[..chunked.len() - 1], 3), None);
    }

    #[test]
    fn latencies_are_counted_and_ranked() {
        let mut figures = Figures::default();
        for millis in 1..=100 {
            figures.note(Duration::from_millis(millis));
        }
        figures.seconds = 2.0;
        assert_eq!(figures.per_second(), 50.0);
        assert_eq!(figures.mean_ms(), 50.5);
        assert_eq!(figures.quantiles([0.0, 0.5, 1.0]), [1.0, 50.0, 100.0]);
    }
}
