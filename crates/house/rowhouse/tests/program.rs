//! Starting the program in a folder of its own, talking HTTP to it, ending it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant, UNIX_EPOCH};

const BINARY: &str = env!("CARGO_BIN_EXE_rowhouse");
/// How long a start may take on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
const HTTP_TIMEOUT: Duration = Duration::from_secs(60);
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A folder that is removed with the value. PostgreSQL's user must be able to enter it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        use std::os::unix::fs::PermissionsExt;
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rh-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file below `supabase/`.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join("supabase").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Puts the templates of PostgreSQL's data directories into a new data directory. Making them takes a second or
/// two, so that is done once for all tests that do not mind.
fn warm(data: &Path) {
    static TEMPLATES: OnceLock<PathBuf> = OnceLock::new();
    if data.join("template").exists() {
        return;
    }
    let templates = TEMPLATES.get_or_init(|| {
        let built =
            std::fs::metadata(BINARY).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("template-{}", built.as_millis()));
        if !kept.exists() {
            let folder = Folder::new();
            let data = folder.path().join("data");
            run_json(&[
                "projects",
                "create",
                "any",
                "--tenancy",
                "dedicated",
                "--data",
                data.to_str().unwrap(),
            ]);
            forget_templates();
            copy(&data.join("template"), &kept);
        }
        kept
    });
    std::fs::create_dir_all(data).unwrap();
    copy(templates, &data.join("template"));
}

/// Removes the templates of earlier builds.
fn forget_templates() {
    for entry in std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("template-") {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Owners and permissions included.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until the answer is yes; the question itself takes its time.
pub fn until(what: &str, mut asked: impl FnMut() -> bool) {
    let deadline = Instant::now() + READY_TIMEOUT;
    while !asked() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(POLL);
    }
}

/// Runs a command of the program to its end.
pub fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).stdin(Stdio::null()).output().unwrap()
}

/// The same, which must succeed; what it prints as JSON.
pub fn run_json(args: &[&str]) -> Value {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// The text of an error, of a command that must fail.
pub fn run_failing(args: &[&str]) -> String {
    let output = run(args);
    assert!(!output.status.success(), "{args:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running `start` or `serve`.
pub struct Program {
    child: Child,
    pub api: u16,
    pub db: u16,
    /// What `start` says.
    pub values: Value,
}

impl Program {
    /// `rowhouse start` on a folder, ready. The ports are given so that a second start can have the same.
    pub fn start(folder: &Folder, ports: Option<(u16, u16)>) -> Program {
        warm(&folder.path().join(".rowhouse"));
        let workdir = folder.path().to_str().unwrap();
        Program::launch(&["start", "--workdir", workdir, "-o", "json"], ports)
    }

    /// `rowhouse serve` on a folder, ready.
    pub fn serve(folder: &Folder, ports: Option<(u16, u16)>) -> Program {
        warm(&folder.path().join("data"));
        Program::launch(&["serve", "--data", folder.path().join("data").to_str().unwrap()], ports)
    }

    /// The same with more words on the command line.
    pub fn serve_with(folder: &Folder, more: &[&str]) -> Program {
        let data = folder.path().join("data");
        warm(&data);
        Program::launch(&[&["serve", "--data", data.to_str().unwrap()], more].concat(), None)
    }

    fn launch(args: &[&str], ports: Option<(u16, u16)>) -> Program {
        let (api, db) = ports.unwrap_or_else(|| (free_port(), free_port()));
        let mut child = Command::new(BINARY)
            .args(args)
            .args(["--api-port", &api.to_string(), "--db-port", &db.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (ready, is_ready) = mpsc::channel();
        // Reads the log for as long as the program lives, so that it never waits for us.
        std::thread::spawn(move || {
            let mut before = String::new();
            for line in log.lines().map_while(Result::ok) {
                if line.contains(r#""message":"ready""#) {
                    let _ = ready.send(Ok(()));
                }
                before.push_str(&line);
                before.push('\n');
            }
            let _ = ready.send(Err(before));
        });
        match is_ready.recv_timeout(READY_TIMEOUT) {
            Ok(Ok(())) => {}
            Ok(Err(log)) => panic!("the program ended: {log}"),
            Err(_) => panic!("the program is not ready"),
        }
        let mut program = Program { child, api, db, values: Value::Null };
        if args[0] == "start" {
            let output = program.child.stdout.take().unwrap();
            let mut values = serde_json::Deserializer::from_reader(output).into_iter::<Value>();
            program.values = values.next().unwrap().unwrap();
        }
        program
    }

    pub fn value(&self, name: &str) -> &str {
        self.values[name].as_str().unwrap()
    }

    pub fn ports(&self) -> Option<(u16, u16)> {
        Some((self.api, self.db))
    }

    /// As an operator stops it. Whether it ended well.
    pub fn stop(mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().success()
    }

    /// As a crash ends it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.api)).unwrap();
        stream.set_read_timeout(Some(HTTP_TIMEOUT)).unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, body: body.to_owned() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let pid = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// A client of one project, with its anon key and perhaps a signed-in user.
#[derive(Clone)]
pub struct Client<'a> {
    pub program: &'a Program,
    /// In front of every path: `/p/<ref>`, or nothing.
    pub prefix: String,
    pub key: String,
    pub token: Option<String>,
}

impl Client<'_> {
    pub fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("apikey", self.key.as_str()), ("prefer", "return=representation")];
        headers.extend(bearer.as_ref().map(|bearer| ("authorization", bearer.as_str())));
        self.program.send(method, &format!("{}{path}", self.prefix), &headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    /// The same client as a new user.
    pub fn signed_up(&self, email: &str) -> Self {
        let body = serde_json::json!({ "email": email, "password": "correct horse" }).to_string();
        let answer = self.send("POST", "/auth/v1/signup", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        Client { token: Some(token), ..self.clone() }
    }

    /// The number of rows of a table that this client sees.
    pub fn rows(&self, table: &str) -> usize {
        let answer = self.get(&format!("/rest/v1/{table}?select=*"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json().as_array().unwrap().len()
    }
}
