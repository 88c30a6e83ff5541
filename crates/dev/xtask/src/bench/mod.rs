//! Measurements against the release binary. Each prints absolute figures; those of a machine that does other
//! work at the same time are worth little, so a comparison is always made within one run.

mod capture;
mod cpu;
mod density;
mod http;
mod load;
mod stack;
mod throughput;

use anyhow::{Result, bail};

use crate::args::Args;

pub fn command(args: &mut Args) -> Result<()> {
    match args.next_word().as_deref() {
        None => throughput::command(args),
        Some("density") => density::command(args),
        Some(other) => bail!("unknown measurement {other:?}: there are `bench` and `bench density`"),
    }
}
