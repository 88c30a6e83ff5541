//! Blocking clients, a thread for each connection: one that reads bodies and forgets them, one that sends bodies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How long a client waits for anything at all.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// What is read at a time.
const PIECE: usize = 256 * 1024;

/// Downloads of one path again and again.
pub struct Down {
    pub port: u16,
    pub path: String,
    pub length: usize,
    pub connections: usize,
    pub seconds: u64,
}

/// Uploads of one body to ever new names that begin with `path`.
pub struct Up<'a> {
    pub port: u16,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: &'a [u8],
    pub connections: usize,
    pub seconds: u64,
}

/// What came of it.
#[derive(Default)]
pub struct Rate {
    requests: f64,
    bytes: f64,
    seconds: f64,
}

impl Rate {
    pub fn add(&mut self, other: Rate) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.seconds += other.seconds;
    }

    pub fn per_second(&self) -> f64 {
        self.requests / self.seconds.max(f64::MIN_POSITIVE)
    }

    pub fn mib(&self) -> f64 {
        self.bytes / self.seconds.max(f64::MIN_POSITIVE) / f64::from(1 << 20)
    }
}

pub fn down(load: &Down) -> Result<Rate> {
    let ask = format!("GET {} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", load.path);
    let requests = together(load.connections, |_| {
        let end = Instant::now() + Duration::from_secs(load.seconds);
        let mut line = Line::open(load.port)?;
        let mut count = 0.0;
        while Instant::now() < end {
            line.stream.write_all(ask.as_bytes())?;
            let length = line.answer()?;
            if length != load.length {
                bail!("{}: {length} bytes instead of {}", load.path, load.length);
            }
            count += 1.0;
        }
        Ok(count)
    })?;
    Ok(Rate { bytes: requests.requests * load.length as f64, ..requests })
}

/// Uploads for the time that the load names, or `count` times on each connection.
pub fn up(load: &Up, count: Option<u32>) -> Result<Rate> {
    let headers: String = load.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = load.body.len();
    let rate = together(load.connections, |connection| {
        let end = Instant::now() + Duration::from_secs(load.seconds);
        let mut line = Line::open(load.port)?;
        let mut sent = 0u32;
        while count.map_or_else(|| Instant::now() < end, |count| sent < count) {
            let name = if count == Some(1) { String::new() } else { format!("-{connection}-{sent}") };
            let mut head = format!(
                "POST {}{name} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}content-length: {length}\r\n\r\n",
                load.path
            )
            .into_bytes();
            // Small requests leave in one segment, as those of other clients do.
            let (first, rest) = load.body.split_at(length.min(PIECE));
            head.extend_from_slice(first);
            line.stream.write_all(&head)?;
            line.stream.write_all(rest)?;
            line.answer()?;
            sent += 1;
        }
        Ok(f64::from(sent))
    })?;
    Ok(Rate { bytes: rate.requests * length as f64, ..rate })
}

/// Runs one thread for each connection; the sum of what they counted, over the time until the last one was done.
fn together(connections: usize, work: impl Fn(usize) -> Result<f64> + Sync) -> Result<Rate> {
    let begun = Instant::now();
    let counts: Vec<Result<f64>> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..connections).map(|at| scope.spawn(move || work(at))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?).collect()
    });
    let requests = counts.into_iter().sum::<Result<f64>>()?;
    Ok(Rate { requests, bytes: 0.0, seconds: begun.elapsed().as_secs_f64() })
}

struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    fn open(port: u16) -> Result<Line> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Line { stream, buffer: vec![0; PIECE] })
    }

    /// Reads an answer with status 200 to its end; the length of its body.
    fn answer(&mut self) -> Result<usize> {
        let mut filled = 0;
        let body = loop {
            let n = self.stream.read(&mut self.buffer[filled..]).context("reading an answer")?;
            if n == 0 {
                bail!("the server closed a connection");
            }
            filled += n;
            if let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..body]).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            bail!("{}", String::from_utf8_lossy(&self.buffer[..filled]));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("an answer without a length")?.trim().parse()?;
        let mut left = length.saturating_sub(filled - body);
        while left > 0 {
            let most = left.min(PIECE);
            let n = self.stream.read(&mut self.buffer[..most]).context("reading a body")?;
            if n == 0 {
                bail!("a body ended early");
            }
            left -= n;
        }
        Ok(length)
    }
}
