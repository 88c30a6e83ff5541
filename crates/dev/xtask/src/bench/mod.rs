//! Measurements against the release binary. Each prints absolute figures; those of a machine that does other
//! work at the same time are worth little, so a comparison is always made within one run.

mod accounts;
mod auth;
mod capture;
mod cases;
mod contest;
mod cpu;
mod density;
mod files;
mod http;
mod load;
mod stack;
mod storm;

use anyhow::{Result, bail};

use crate::args::Args;
use contest::Contest;
use stack::Stack;

const FIXTURE: &str = include_str!("../../fixtures/bench.sql");

pub fn command(args: &mut Args) -> Result<()> {
    let word = args.next_word();
    match word.as_deref() {
        None | Some("data") => {
            let stack = Stack::start(FIXTURE)?;
            cases::command(&stack, &Contest::new(&stack, args)?, args)
        }
        Some("auth") => {
            let stack = Stack::start(FIXTURE)?;
            auth::command(&stack, &Contest::new(&stack, args)?)
        }
        Some("storm") => storm::command(&Stack::start(FIXTURE)?, args),
        Some("all") => {
            let stack = Stack::start(FIXTURE)?;
            let contest = Contest::new(&stack, args)?;
            cases::command(&stack, &contest, args)?;
            auth::command(&stack, &contest)?;
            storm::command(&stack, args)?;
            drop(stack);
            files::command(args)
        }
        Some("files") => files::command(args),
        Some("density") => density::command(args),
        Some(other) => {
            bail!("unknown measurement {other:?}: there are data, auth, storm, files, all and density")
        }
    }
}
