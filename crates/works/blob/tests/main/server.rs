//! A server that speaks S3's protocol: moto, which `scripts/setup.sh s3` installs. One for all tests of a process; it
//! ends with the process.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use uuid::Uuid;

const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Where the server is.
fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache")
    });
    let program = cache.join("rowhouse-ci/moto/bin/moto_server");
    assert!(program.exists(), "{} is missing: run scripts/setup.sh s3", program.display());
    program
}

/// The port of the server, which is started if need be.
pub async fn port() -> u16 {
    static SERVER: OnceCell<u16> = OnceCell::const_new();
    /// Its end closes the pipe by which the server knows that the tests are over.
    static PROCESS: Mutex<Option<Child>> = Mutex::new(None);
    let start = async || {
        // The shell lives as long as our end of its input, and takes the server with it.
        let script = "\"$0\" -H 127.0.0.1 -p 0 2>&1 & read -r line; kill $!";
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(program());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line.split_once("http://127.0.0.1:") {
                    return port.trim().trim_end_matches('/').parse().unwrap();
                }
            }
            panic!("the server ended");
        };
        let port = tokio::time::timeout(START_TIMEOUT, port).await.unwrap();
        // What it says later is read, so that it does not wait for a reader; by a thread, as every test has a runtime
        // of its own.
        let rest = lines.into_inner().into_inner().into_owned_fd().unwrap();
        std::thread::spawn(move || std::io::copy(&mut std::fs::File::from(rest), &mut std::io::sink()));
        *PROCESS.lock().unwrap() = Some(child);
        port
    };
    *SERVER.get_or_init(start).await
}

/// Sends a request without a body straight to the server; the whole answer as text.
pub async fn ask(method: &str, path: &str) -> String {
    send(method, path, "", "").await
}

/// The same with more headers, each with its line end, and a body.
pub async fn send(method: &str, path: &str, headers: &str, body: &str) -> String {
    let port = port().await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: {}\r\nconnection: close\r\n\
         {headers}authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, \
         Signature=0\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A new bucket.
pub async fn bucket() -> String {
    let name = format!("b-{}", Uuid::new_v4());
    let answer = ask("PUT", &format!("/{name}")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    name
}
