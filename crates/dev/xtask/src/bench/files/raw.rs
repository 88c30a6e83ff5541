//! The baseline: a server that copies files to sockets and sockets to files, and does nothing else.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

/// What is copied at a time.
const PIECE: usize = 256 * 1024;

/// `GET /copy/NAME` and `GET /sendfile/NAME` send a file, `POST /write/…` stores one. Its threads end with the
/// connections; the listener ends with the program.
pub struct Raw {
    pub port: u16,
    folder: PathBuf,
}

struct Place {
    folder: PathBuf,
    sync: bool,
    written: AtomicU64,
}

impl Raw {
    pub fn start(folder: &Path, sync: bool) -> Result<Raw> {
        std::fs::create_dir_all(folder)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let place = Arc::new(Place { folder: folder.to_path_buf(), sync, written: AtomicU64::new(0) });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let place = Arc::clone(&place);
                std::thread::spawn(move || {
                    if let Err(error) = place.serve(stream) {
                        eprintln!("raw server: {error:#}");
                    }
                });
            }
        });
        Ok(Raw { port, folder: folder.to_path_buf() })
    }

    /// Puts a file where it can be downloaded; its name.
    pub fn keep(&self, name: &str, body: &[u8]) -> Result<String> {
        std::fs::write(self.folder.join(name), body)?;
        Ok(name.to_owned())
    }
}

impl Place {
    fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        let mut input = BufReader::with_capacity(PIECE, stream);
        let mut buffer = vec![0; PIECE];
        while let Some((path, length)) = request(&mut input)? {
            let words: Vec<&str> = path.splitn(3, '/').collect();
            match words.as_slice() {
                ["", "copy", name] => self.copy(name, &mut out, &mut buffer)?,
                ["", "sendfile", name] => self.sendfile(name, &mut out)?,
                ["", "write", _] => {
                    self.write(&mut input, length, &mut buffer)?;
                    out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
                }
                _ => bail!("no such path: {path}"),
            }
        }
        Ok(())
    }

    fn open(&self, name: &str, out: &mut TcpStream) -> Result<File> {
        let file = File::open(self.folder.join(name))?;
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", file.metadata()?.len())?;
        Ok(file)
    }

    fn copy(&self, name: &str, out: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
        let mut file = self.open(name, out)?;
        loop {
            let n = file.read(buffer)?;
            if n == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..n])?;
        }
    }

    /// On Linux the standard library copies a file to a socket by sendfile.
    fn sendfile(&self, name: &str, out: &mut TcpStream) -> Result<()> {
        let mut file = self.open(name, out)?;
        std::io::copy(&mut file, out)?;
        Ok(())
    }

    /// A temporary file, written, synced if asked to, and renamed.
    fn write(&self, input: &mut impl Read, length: u64, buffer: &mut [u8]) -> Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{number}.tmp"));
        let mut file = File::create_new(&temporary)?;
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let n = input.read(&mut buffer[..most])?;
            if n == 0 {
                bail!("a body ended early");
            }
            file.write_all(&buffer[..n])?;
            left -= n as u64;
        }
        if self.sync {
            file.sync_all()?;
        }
        std::fs::rename(&temporary, self.folder.join(number.to_string()))?;
        if self.sync {
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The path of the next request and the length of its body.
fn request(input: &mut impl BufRead) -> Result<Option<(String, u64)>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).context("no request line")?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        input.read_line(&mut line)?;
        match line.trim_end().to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse()?,
            Some(_) => {}
            None => return Ok(Some((path, length))),
        }
    }
}
