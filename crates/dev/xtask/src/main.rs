//! The project's own commands: `cargo xtask …` (or `cargo x …`).
//!
//! It checks what the compiler cannot (`tidy`), runs the whole test chain, drives peers' suites (`conform`)
//! and measures (`bench`). It depends on almost nothing, so that it is built before anything else fails.

mod args;
mod bench;
mod check;
mod clients;
mod compare;
mod conform;
mod local;
mod postgres;
mod process;
mod storage_suites;
mod summary;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};
use args::Args;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy                       the invariants of the code base, from cargo metadata and source text
  check                      fmt, clippy, tidy, all Rust tests
  test [--no-e2e]            check, then build the program and run the end-to-end tests; ends with a count
  conform rest --spec DIR    PostgREST's own suite against `rowhouse rest`
      [--runners DIR]          where the runner scripts lie (default ../shared/conformance)
      [--config NAME|all]      configuration of the suite (default: default)
      [--report FILE]          write the failing cases there
  conform postgrest-js --repo DIR [--match REGEX]
                             the official client's tests against `rowhouse rest`: a checkout of supabase-js
  conform postgrest-py --repo DIR [--python FILE]
                             the same for supabase-py
  conform auth --against URL [--only NAME] [--report FILE]
                             the same requests to Rowhouse's auth and to the reference at URL
  conform storage --against URL --database URL [--only NAME] [--report FILE]
                             the same for storage; the reference's database gets the policies of the cases
  conform storage-acceptance --repo DIR [--node FILE] [--gates LIST] [--runners DIR]
                             the acceptance suite of Supabase Storage against `rowhouse start`
  conform storage-js --repo DIR [--node FILE] [--runners DIR]
  conform storage-py --repo DIR [--python FILE]
                             the official clients' tests: checkouts of supabase-js and supabase-py
  conform storage-s3 [--python FILE] [--runners DIR]
                             the S3 protocol with boto3
  bench [data|auth|storm|all] [--seconds N] [--rounds N] [--case WORD] [--verbose]
                             the data API and auth, as a ratio to pgbench in the same run
  bench density [--projects N]
                             many pooled projects: creation, memory, first and later requests";

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<()> {
    let mut args = Args::from_env();
    match args.next_word().as_deref() {
        Some("tidy") => tidy::command(&args),
        Some("check") => check::command_check(),
        Some("test") => check::command_test(&args),
        Some("conform") => conform::command(&mut args),
        Some("bench") => bench::command(&mut args),
        Some("help") | None => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("unknown command {other:?}\n\n{USAGE}"),
    }
}
