//! Taking messages by SMTP, from programs under test: everybody's, to everybody, with any password.

use crate::Catcher;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const CONNECTIONS_MAX: usize = 32;
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// For a whole message.
const DATA_TIMEOUT: Duration = Duration::from_secs(120);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a command.
const LINE_MAX: u64 = 4096;
const RECIPIENTS_MAX: usize = 100;
/// Commands that make no sense, after which we hang up.
const MISTAKES_MAX: u32 = 20;

pub(crate) async fn serve(catcher: Catcher, listener: TcpListener, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection to the mail catcher was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let (catcher, stop) = (catcher.clone(), stop.clone());
        tokio::spawn(async move {
            let _slot = slot;
            let talked = tokio::select! {
                () = stop.cancelled() => return,
                talked = Session::new(catcher, stream).talk() => talked,
            };
            if let Err(error) = talked {
                tracing::debug!(%error, "a connection to the mail catcher");
            }
        });
    }
}

struct Session {
    catcher: Catcher,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    from: Option<String>,
    to: Vec<String>,
}

/// What to do after a command.
enum Next {
    Go,
    Quit,
    Mistake,
}

impl Session {
    fn new(catcher: Catcher, stream: TcpStream) -> Session {
        let (reader, writer) = stream.into_split();
        Session { catcher, reader: BufReader::new(reader), writer, from: None, to: Vec::new() }
    }

    async fn talk(mut self) -> io::Result<()> {
        self.say("220 localhost Rowhouse mail catcher").await?;
        let mut mistakes = 0;
        while let Some(line) = self.line().await? {
            match self.command(&line).await? {
                Next::Go => {}
                Next::Quit => return Ok(()),
                Next::Mistake => {
                    mistakes += 1;
                    if mistakes >= MISTAKES_MAX {
                        return self.say("421 4.7.0 Too many mistakes").await;
                    }
                }
            }
        }
        Ok(())
    }

    async fn command(&mut self, line: &str) -> io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                let size = self.catcher.message_bytes();
                let features = format!(
                    "250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE {size}\r\n250 AUTH PLAIN LOGIN"
                );
                self.say(&features).await?;
            }
            "HELO" => self.say("250 localhost").await?,
            "AUTH" => return self.auth(rest).await,
            "MAIL" => match address(rest, "FROM:") {
                Some(from) => {
                    (self.from, self.to) = (Some(from), Vec::new());
                    self.say("250 2.1.0 Ok").await?;
                }
                None => return self.mistake("501 5.5.4 Syntax: MAIL FROM:<address>").await,
            },
            "RCPT" => return self.recipient(rest).await,
            "DATA" if self.from.is_some() && !self.to.is_empty() => self.data().await?,
            "DATA" => return self.mistake("503 5.5.1 MAIL and RCPT come first").await,
            "RSET" => {
                (self.from, self.to) = (None, Vec::new());
                self.say("250 2.0.0 Ok").await?;
            }
            "NOOP" | "VRFY" => self.say("250 2.0.0 Ok").await?,
            "QUIT" => {
                self.say("221 2.0.0 Bye").await?;
                return Ok(Next::Quit);
            }
            _ => return self.mistake("502 5.5.2 Command not known").await,
        }
        Ok(Next::Go)
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<Next> {
        match address(rest, "TO:") {
            _ if self.from.is_none() => self.mistake("503 5.5.1 MAIL comes first").await,
            Some(_) if self.to.len() >= RECIPIENTS_MAX => self.mistake("452 4.5.3 Too many recipients").await,
            Some(to) if !to.is_empty() => {
                self.to.push(to);
                self.say("250 2.1.5 Ok").await?;
                Ok(Next::Go)
            }
            _ => self.mistake("501 5.5.4 Syntax: RCPT TO:<address>").await,
        }
    }

    /// Whoever they say they are.
    async fn auth(&mut self, rest: &str) -> io::Result<Next> {
        let (mechanism, first) = rest.split_once(' ').unwrap_or((rest, ""));
        let questions: &[&str] = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" if first.is_empty() => &[""],
            "PLAIN" => &[],
            "LOGIN" if first.is_empty() => &["Username:", "Password:"],
            "LOGIN" => &["Password:"],
            _ => return self.mistake("504 5.5.4 Mechanism not known").await,
        };
        for question in questions {
            self.say(&format!("334 {}", B64.encode(question))).await?;
            if self.line().await?.is_none() {
                return Ok(Next::Quit);
            }
        }
        self.say("235 2.7.0 Welcome").await?;
        Ok(Next::Go)
    }

    async fn data(&mut self) -> io::Result<()> {
        self.say("354 End with a dot").await?;
        let message = tokio::time::timeout(DATA_TIMEOUT, self.message()).await;
        let message = message.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (from, to) = (self.from.take().unwrap_or_default(), std::mem::take(&mut self.to));
        let answer = match message {
            None => "552 5.3.4 The message is too large".to_owned(),
            Some(raw) => match self.catcher.add(&from, &to, raw).await {
                Ok(id) => format!("250 2.0.0 Ok: queued as {id}"),
                Err(error) => {
                    tracing::error!(%error, "the mail catcher cannot keep a message");
                    "451 4.3.0 The message cannot be kept".to_owned()
                }
            },
        };
        self.say(&answer).await
    }

    /// What comes up to a line with a dot; nothing when it was too much.
    async fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut message, mut too_large) = (Vec::new(), false);
        let max = self.catcher.message_bytes();
        let mut at_start = true;
        loop {
            let mut line = Vec::new();
            let read = (&mut self.reader).take(64 * 1024).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let ends = line.ends_with(b"\n");
            if at_start && matches!(line.as_slice(), b".\r\n" | b".\n") {
                return Ok((!too_large).then_some(message));
            }
            let line = if at_start && line.starts_with(b".") { &line[1..] } else { &line[..] };
            at_start = ends;
            too_large |= message.len() + line.len() > max;
            if !too_large {
                message.extend_from_slice(line);
            }
        }
    }

    /// The next line without its end; nothing when there is none.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(LINE_MAX);
        let read = tokio::time::timeout(COMMAND_TIMEOUT, limited.read_until(b'\n', &mut line)).await;
        read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if !line.ends_with(b"\n") {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(format!("{text}\r\n").as_bytes()).await
    }

    async fn mistake(&mut self, text: &str) -> io::Result<Next> {
        self.say(text).await?;
        Ok(Next::Mistake)
    }
}

/// The address in `FROM:<a@b.c> SIZE=1`.
fn address(rest: &str, prefix: &str) -> Option<String> {
    let given = rest.get(..prefix.len())?;
    if !given.eq_ignore_ascii_case(prefix) {
        return None;
    }
    let rest = rest[prefix.len()..].trim_start();
    let address = match rest.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?.0,
        None => rest.split(' ').next().unwrap_or_default(),
    };
    let fits = address.len() <= 320 && !address.chars().any(char::is_control);
    fits.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_in_brackets() {
        assert_eq!(address("FROM:<a@b.c> SIZE=1", "FROM:").as_deref(), Some("a@b.c"));
        assert_eq!(address("from: a@b.c", "FROM:").as_deref(), Some("a@b.c"));
        assert_eq!(address("FROM:<>", "FROM:").as_deref(), Some(""));
        assert_eq!(address("TO:<a@b.c", "TO:"), None);
        assert_eq!(address("é", "TO:"), None);
    }
}
