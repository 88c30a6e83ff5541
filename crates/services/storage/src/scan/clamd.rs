//! The protocol of clamd, ClamAV's server: `INSTREAM`.

use super::{Failure, Verdict};
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest piece that is sent at once.
const PIECE_BYTES_MAX: usize = 256 * 1024;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Sends a body and reads what clamd says of it.
pub(super) async fn scan<S, B>(mut stream: S, body: B) -> Result<Verdict, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
    Failure: From<B::Error>,
{
    match send(&mut stream, body).await {
        // clamd stops listening when a file is longer than it takes, and says so.
        Ok(()) | Err(Failure::Io(_)) => answer(&mut stream).await,
        Err(failure) => Err(failure),
    }
}

async fn send<S, B>(stream: &mut S, mut body: B) -> Result<(), Failure>
where
    S: AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
    Failure: From<B::Error>,
{
    stream.write_all(b"zINSTREAM\0").await?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        for piece in data.chunks(PIECE_BYTES_MAX) {
            stream.write_u32(piece.len() as u32).await?;
            stream.write_all(piece).await?;
        }
    }
    stream.write_u32(0).await?;
    stream.flush().await?;
    Ok(())
}

async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Verdict, Failure> {
    let mut answer = Vec::new();
    let mut piece = [0; 512];
    while answer.len() as u64 <= ANSWER_BYTES_MAX && !answer.contains(&0) {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8_lossy(&answer);
    verdict(text.split('\0').next().unwrap_or_default().trim())
}

/// `stream: OK`, `stream: <name> FOUND`, or an error.
fn verdict(text: &str) -> Result<Verdict, Failure> {
    match text.strip_prefix("stream: ") {
        Some("OK") => Ok(Verdict::Clean),
        Some(rest) if rest.ends_with(" FOUND") => {
            Ok(Verdict::Infected(rest.trim_end_matches(" FOUND").chars().take(200).collect()))
        }
        _ if text.is_empty() => Err(Failure::Said("nothing".to_owned())),
        _ => Err(Failure::Said(text.chars().take(200).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clamd_says() {
        assert!(matches!(verdict("stream: OK"), Ok(Verdict::Clean)));
        let found = verdict("stream: Win.Test.EICAR_HDB-1 FOUND");
        assert!(matches!(found, Ok(Verdict::Infected(name)) if name == "Win.Test.EICAR_HDB-1"));
        for bad in [
            "",
            "stream: ",
            "OK",
            "INSTREAM size limit exceeded. ERROR",
            "stream: x ERROR",
            "UNKNOWN COMMAND",
        ] {
            assert!(verdict(bad).is_err(), "{bad}");
        }
    }
}
