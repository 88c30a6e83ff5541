//! Measurements against the release binary.

use anyhow::{Result, bail};

use crate::args::Args;

pub fn command(args: &mut Args) -> Result<()> {
    match args.next_word().as_deref() {
        other => bail!("unknown measurement {other:?}"),
    }
}
