//! Storage against a raw copy of the same bytes: downloads of a large file against a server that does nothing but
//! copy it from the system's cache to the socket, uploads against one that does nothing but write them to a file.

mod client;
mod raw;

use anyhow::Result;

use super::cpu;
use super::http::Http;
use super::stack::Stack;
use crate::args::Args;
use client::{Down, Rate, Up, down, up};
use raw::Raw;

/// The file that is downloaded.
const LARGE: usize = 256 << 20;
const CONFIG: &str = "[storage]\nfile_size_limit = \"1GiB\"\n";
/// The share of a raw copy that is aimed at for downloads, in per cent.
const AIM: f64 = 80.0;
/// What is uploaded: name, bytes, connections.
const UPLOADS: [(&str, usize, usize); 5] = [
    ("10 KiB", 10 << 10, 1),
    ("10 KiB", 10 << 10, 16),
    ("1 MiB", 1 << 20, 1),
    ("1 MiB", 1 << 20, 16),
    ("64 MiB", 64 << 20, 1),
];

pub fn command(args: &Args) -> Result<()> {
    let (seconds, rounds) = (args.number("seconds", 3)?, args.number("rounds", 3)?);
    let stack = prepared("false")?;
    let raw = Raw::start(&stack.path().join("raw"), true)?;
    downloads(&stack, &raw, seconds, rounds)?;
    println!("\nEvery upload is on the disk before it is answered:\n");
    uploads(&stack, &raw, seconds, rounds)?;
    drop((raw, stack));

    let stack = prepared("true")?;
    let raw = Raw::start(&stack.path().join("raw"), false)?;
    println!("\nUploads are left to the system's cache (`--files-no-sync`):\n");
    uploads(&stack, &raw, seconds, rounds)
}

/// A stack with two buckets.
fn prepared(no_sync: &str) -> Result<Stack> {
    let stack = Stack::start_with("", CONFIG, &[("ROWHOUSE_FILES_NO_SYNC", no_sync)])?;
    let mut http = Http::connect(stack.api_port)?;
    let authorization = format!("Bearer {}", stack.key("SERVICE_ROLE_KEY"));
    let headers = [("apikey", stack.key("SERVICE_ROLE_KEY")), ("authorization", authorization.as_str())];
    for body in [r#"{"name":"open","public":true}"#, r#"{"name":"in"}"#] {
        http.send("POST", "/storage/v1/bucket", &headers, body)?.expect(200)?;
    }
    Ok(stack)
}

fn downloads(stack: &Stack, raw: &Raw, seconds: u64, rounds: u64) -> Result<()> {
    let body = vec![b'r'; LARGE];
    up(&ours(stack, "/storage/v1/object/open/large.bin", &body, 1), Some(1))?;
    let raw_file = raw.keep("large.bin", &body)?;
    println!("a file of {} MiB, in the system's cache\n", LARGE >> 20);
    println!(
        "| connections | raw copy MiB/s | sendfile MiB/s | Rowhouse MiB/s | ratio to copy (aim) | to sendfile |"
    );
    println!("|---|---|---|---|---|---|");
    for connections in [1, 4] {
        let (mut copy, mut sendfile, mut ours) = (Rate::default(), Rate::default(), Rate::default());
        let load = |port, path: &str| {
            down(&Down { port, path: path.to_owned(), length: LARGE, connections, seconds })
        };
        for _ in 0..rounds {
            copy.add(load(raw.port, &format!("/copy/{raw_file}"))?);
            ours.add(load(stack.api_port, "/storage/v1/object/public/open/large.bin")?);
            sendfile.add(load(raw.port, &format!("/sendfile/{raw_file}"))?);
        }
        let share = |other: &Rate| 100.0 * ours.mib() / other.mib();
        println!(
            "| {connections} | {:.0} | {:.0} | {:.0} | {:.0} % ({AIM} %) | {:.0} % |",
            copy.mib(),
            sendfile.mib(),
            ours.mib(),
            share(&copy),
            share(&sendfile)
        );
    }
    println!("\nresident memory of the program: {:.0} MB", cpu::resident_mb(stack.program.pid()));
    Ok(())
}

fn uploads(stack: &Stack, raw: &Raw, seconds: u64, rounds: u64) -> Result<()> {
    println!("| upload | connections | raw write req/s | Rowhouse req/s | ratio | MiB/s |");
    println!("|---|---|---|---|---|---|");
    for (name, size, connections) in UPLOADS {
        let body = vec![b'r'; size];
        let (mut plain, mut stored) = (Rate::default(), Rate::default());
        for round in 0..rounds {
            let path = format!("/write/{size}-{connections}-{round}");
            let load = Up { port: raw.port, path, headers: Vec::new(), body: &body, connections, seconds };
            plain.add(up(&load, None)?);
            let path = format!("/storage/v1/object/in/{size}-{connections}-{round}");
            stored.add(up(&Up { seconds, ..ours(stack, &path, &body, connections) }, None)?);
        }
        println!(
            "| {name} | {connections} | {:.0} | {:.0} | {:.0} % | {:.0} |",
            plain.per_second(),
            stored.per_second(),
            100.0 * stored.per_second() / plain.per_second(),
            stored.mib()
        );
    }
    Ok(())
}

fn ours<'a>(stack: &Stack, path: &str, body: &'a [u8], connections: usize) -> Up<'a> {
    let key = stack.key("SERVICE_ROLE_KEY");
    let headers = vec![
        ("apikey".to_owned(), key.to_owned()),
        ("authorization".to_owned(), format!("Bearer {key}")),
        ("content-type".to_owned(), "application/octet-stream".to_owned()),
    ];
    Up { port: stack.api_port, path: path.to_owned(), headers, body, connections, seconds: 0 }
}
