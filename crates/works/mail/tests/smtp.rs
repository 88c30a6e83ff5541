//! Sending by SMTP to a server that speaks it: with and without TLS, with and without a password.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected must stop, helpers of tests too")]

use mail::{Carrier, Letter, Mailbox, Security, Smtp};
use model::Secret;
use outbound::Reach;
use rustls::pki_types::PrivateKeyDer;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// `\0user\0p4ss` and its parts, in base64.
const PLAIN: &str = "AHVzZXIAcDRzcw==";
const USER: &str = "dXNlcg==";
const PASS: &str = "cDRzcw==";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    StartTls,
    Tls,
}

/// How the server behaves, and what it has seen.
#[derive(Debug)]
struct Server {
    mode: Mode,
    /// The mechanism it offers; without one nobody has to log in.
    auth: Option<&'static str>,
    /// What it says to RCPT.
    recipient: &'static str,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    commands: Vec<String>,
    messages: Vec<String>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A server on a free port with a certificate of its own for `localhost`.
async fn serve(mode: Mode, auth: Option<&'static str>, recipient: &'static str) -> (Arc<Server>, Smtp) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = made.cert.pem();
    let key = PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Arc::new(Server { mode, auth, recipient, seen: Mutex::default() });
    let serving = Arc::clone(&server);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (server, acceptor) = (Arc::clone(&serving), acceptor.clone());
            server.seen.lock().unwrap().connections += 1;
            tokio::spawn(async move {
                let stream: Box<dyn Stream> = match server.mode {
                    // A client that does not trust us hangs up here.
                    Mode::Tls => match acceptor.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => return,
                    },
                    _ => Box::new(stream),
                };
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 test\r\n").await.unwrap();
                if talk(&server, &mut stream, server.mode == Mode::Tls).await == Some(true)
                    && let Ok(secured) = acceptor.accept(stream.into_inner()).await
                {
                    talk(&server, &mut BufReader::new(Box::new(secured) as Box<dyn Stream>), true).await;
                }
            });
        }
    });
    let smtp = Smtp {
        host: "localhost".to_owned(),
        port,
        user: auth.map(|_| "user".to_owned()).unwrap_or_default(),
        password: Secret::new("p4ss"),
        security: Security::Auto,
        client_name: "app.example.com".to_owned(),
        authority: Some(authority),
        reach: Reach::Anywhere,
    };
    (server, smtp)
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

/// Talks until the client goes; true when it wants TLS.
async fn talk(server: &Server, stream: &mut BufReader<Box<dyn Stream>>, secure: bool) -> Option<bool> {
    let mut known = server.auth.is_none();
    loop {
        let said = line(stream).await?;
        server.seen.lock().unwrap().commands.push(said.clone());
        let answer = match said.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => {
                let tls = if server.mode == Mode::StartTls && !secure { "250-STARTTLS\r\n" } else { "" };
                let auth = server.auth.map(|auth| format!("250-AUTH {auth}\r\n")).unwrap_or_default();
                format!("250-test\r\n{tls}{auth}250 8BITMIME")
            }
            "STARTTLS" => {
                stream.write_all(b"220 go\r\n").await.ok()?;
                return Some(true);
            }
            "AUTH" if said.starts_with("AUTH PLAIN") => {
                known = said.ends_with(PLAIN);
                if known { "235 ok" } else { "535 wrong" }.to_owned()
            }
            "AUTH" => {
                stream.write_all(b"334 VXNlcm5hbWU6\r\n").await.ok()?;
                let user = line(stream).await?;
                stream.write_all(b"334 UGFzc3dvcmQ6\r\n").await.ok()?;
                let pass = line(stream).await?;
                known = user == USER && pass == PASS;
                if known { "235 ok" } else { "535 wrong" }.to_owned()
            }
            "MAIL" if !known => "530 log in first".to_owned(),
            "RCPT" => server.recipient.to_owned(),
            "DATA" => {
                stream.write_all(b"354 go\r\n").await.ok()?;
                let mut message = String::new();
                loop {
                    let next = line(stream).await?;
                    if next == "." {
                        break;
                    }
                    message.push_str(&next);
                    message.push('\n');
                }
                server.seen.lock().unwrap().messages.push(message);
                "250 kept".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 ok".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

fn letter(subject: &str) -> Letter {
    Letter {
        from: Mailbox { name: "App".to_owned(), address: "app@example.com".to_owned() },
        to: "ann@example.com".to_owned(),
        subject: subject.to_owned(),
        html: "<p>Hello</p>\r\n<p>.dot</p>".to_owned(),
        id: "1".to_owned(),
        headers: Vec::new(),
    }
}

async fn send(smtp: Smtp) -> Result<(), mail::SendError> {
    Carrier::Smtp(Arc::new(smtp)).open(2).await?.send(&letter("Hi")).await
}

#[tokio::test]
async fn every_way_of_security_and_login_works() {
    for (mode, security) in [
        (Mode::Plain, Security::Auto),
        (Mode::Plain, Security::Plain),
        (Mode::StartTls, Security::Auto),
        (Mode::StartTls, Security::StartTls),
        (Mode::Tls, Security::Tls),
    ] {
        for auth in [None, Some("PLAIN"), Some("LOGIN")] {
            let (server, smtp) = serve(mode, auth, "250 ok").await;
            send(Smtp { security, ..smtp })
                .await
                .unwrap_or_else(|error| panic!("{mode:?} {auth:?}: {error}"));
            let seen = server.seen.lock().unwrap();
            assert_eq!(seen.messages.len(), 1);
            assert!(seen.messages[0].contains("Subject: Hi\n"), "{seen:?}");
            assert_eq!(seen.commands.iter().any(|c| c == "STARTTLS"), mode == Mode::StartTls, "{seen:?}");
            assert!(seen.commands[0] == "EHLO app.example.com", "{seen:?}");
        }
    }
}

#[tokio::test]
async fn connections_are_used_again_and_few() {
    let (server, smtp) = serve(Mode::StartTls, Some("PLAIN"), "250 ok").await;
    let line = Carrier::Smtp(Arc::new(smtp)).open(2).await.unwrap();
    for n in 0..5 {
        line.send(&letter(&n.to_string())).await.unwrap();
    }
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.messages.len(), 5);
    assert!(seen.connections <= 2, "{}", seen.connections);
}

#[tokio::test]
async fn a_wrong_password_may_be_put_right_and_is_not_told() {
    let (_, smtp) = serve(Mode::StartTls, Some("PLAIN"), "250 ok").await;
    let error = send(Smtp { password: Secret::new("hunter2"), ..smtp }).await.unwrap_err();
    assert!(!error.is_final, "{error}");
    assert!(!error.reason.contains("hunter2") && error.reason.contains("535"), "{error}");
}

#[tokio::test]
async fn a_recipient_who_is_not_there_is_given_up_and_one_who_is_busy_is_not() {
    let (_, smtp) = serve(Mode::Plain, None, "550 5.1.1 nobody here").await;
    let error = send(smtp).await.unwrap_err();
    assert!(error.is_final && error.reason.contains("nobody here"), "{error}");
    let (_, smtp) = serve(Mode::Plain, None, "451 4.7.1 later").await;
    assert!(!send(smtp).await.unwrap_err().is_final);
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_is_not_who_it_says() {
    for (mode, security) in [(Mode::StartTls, Security::StartTls), (Mode::Tls, Security::Tls)] {
        let (server, smtp) = serve(mode, Some("PLAIN"), "250 ok").await;
        let error = send(Smtp { authority: None, security, ..smtp }).await.unwrap_err();
        assert!(!error.is_final, "{error}");
        let seen = server.seen.lock().unwrap();
        assert!(!seen.commands.iter().any(|command| command.starts_with("AUTH")), "{seen:?}");
    }
}

#[tokio::test]
async fn no_password_goes_to_a_server_that_takes_tls_away() {
    let (server, smtp) = serve(Mode::Plain, Some("PLAIN"), "250 ok").await;
    assert!(send(Smtp { security: Security::StartTls, ..smtp }).await.is_err());
    let seen = server.seen.lock().unwrap();
    assert!(!seen.commands.iter().any(|command| command.starts_with("AUTH")), "{seen:?}");
}

#[tokio::test]
async fn names_that_lead_inside_are_not_followed() {
    let (server, smtp) = serve(Mode::Plain, None, "250 ok").await;
    let error = send(Smtp { reach: Reach::Public, ..smtp }).await.unwrap_err();
    assert_eq!(error.reason, "the server is not on the public internet");
    assert_eq!(server.seen.lock().unwrap().connections, 0);
}
