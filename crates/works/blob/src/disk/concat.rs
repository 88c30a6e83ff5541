//! Several bodies after each other as one.

use super::tree::{Temporary, Tree};
use super::{Disk, STRETCH};
use crate::{Error, Key, Written};
use md5::{Digest, Md5};
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The body being put together.
struct Whole {
    file: Temporary,
    md5: Md5,
    size: u64,
    /// Whether the file system copies by itself.
    native: bool,
}

impl Disk {
    /// Writes the bodies, in this order, as one. The parts stay.
    pub(crate) async fn concat(&self, parts: &[Key], to: &Key) -> Result<Written, Error> {
        let _turn = self.turn(to).await?;
        let tree = Arc::clone(&self.tree);
        let begin =
            move || Ok(Whole { file: Temporary::new(&tree)?, md5: Md5::new(), size: 0, native: true });
        let mut whole = self.call(to.project(), begin).await?;
        for part in parts {
            let (mut from, mut more) = (0, true);
            while more {
                let (tree, part, disk) = (Arc::clone(&self.tree), part.clone(), self.clone());
                let call = move || {
                    let copied = whole.append(&tree, &disk, &part, from)?;
                    Ok((whole, copied))
                };
                let copied;
                (whole, copied) = self.heavy_call(to.project(), call).await?;
                from += copied;
                more = copied == STRETCH;
            }
        }
        let (tree, name) = (Arc::clone(&self.tree), to.clone());
        let finish = move || {
            let written = Written { size: whole.size, md5: whole.md5.finalize().into() };
            tree.publish(whole.file, &name)?;
            Ok(written)
        };
        self.call(to.project(), finish).await
    }
}

impl Whole {
    /// Appends a stretch of a part; returns its length. Blocks.
    fn append(&mut self, tree: &Arc<Tree>, disk: &Disk, part: &Key, from: u64) -> Result<u64, Error> {
        tree.room()?;
        let source = tree.file(part)?;
        let length = source.metadata()?.len().saturating_sub(from).min(STRETCH);
        let copied = if self.native { self.append_native(&source, from, length)? } else { 0 };
        // The bytes pass here in any case: they are to be hashed.
        let mut buffer = disk.buffers.take();
        let mut done = 0;
        while done < length {
            let left = usize::try_from(length - done).unwrap_or(usize::MAX);
            let memory = buffer.memory(left.min(super::buffers::BUFFER));
            source.read_exact_at(memory, from + done)?;
            self.md5.update(&*memory);
            let end = done + memory.len() as u64;
            if end > copied {
                let skip = usize::try_from(copied.saturating_sub(done)).unwrap_or(0);
                self.file.file()?.write_all_at(&memory[skip..], self.size + done + skip as u64)?;
            }
            done = end;
        }
        self.size += length;
        Ok(length)
    }

    /// Lets the system copy, which may share the blocks instead; returns how much it did.
    fn append_native(&mut self, source: &File, from: u64, length: u64) -> Result<u64, Error> {
        let (mut input, mut output, mut done) = (from, self.size, 0);
        while done < length {
            let left = usize::try_from(length - done).unwrap_or(usize::MAX);
            match copy(source, &mut input, self.file.file()?, &mut output, left) {
                Ok(0) => break,
                Ok(copied) => done += copied as u64,
                Err(Errno::INTR) => {}
                Err(Errno::NOSYS | Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {
                    self.native = false;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }
}

#[cfg(target_os = "linux")]
fn copy(
    source: &File,
    input: &mut u64,
    target: &File,
    output: &mut u64,
    length: usize,
) -> Result<usize, Errno> {
    rustix::fs::copy_file_range(source, Some(input), target, Some(output), length)
}

#[cfg(not(target_os = "linux"))]
fn copy(_: &File, _: &mut u64, _: &File, _: &mut u64, _: usize) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}
