//! Memory for reading, used again.
//!
//! Fresh memory of this size comes from the system page by page, which takes as long as the copying itself.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a buffer.
pub(super) const BUFFER: usize = 256 * 1024;
/// Buffers that are kept for the next reading.
const KEPT: usize = 64;

/// Buffers nobody uses.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Box<[u8]>>>);

/// A buffer that goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Box<[u8]>,
    filled: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    pub(super) fn new() -> Arc<Buffers> {
        Arc::default()
    }

    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = kept.unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice());
        Buffer { memory, filled: 0, home: Arc::clone(self) }
    }
}

impl Buffer {
    pub(super) fn memory(&mut self, length: usize) -> &mut [u8] {
        self.filled = length.min(self.memory.len());
        &mut self.memory[..self.filled]
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_bytes_of_it_are_gone() {
        let buffers = Buffers::new();
        let mut buffer = buffers.take();
        buffer.memory(3).copy_from_slice(b"abc");
        let bytes = buffer.into_bytes();
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!(buffers.0.lock().expect("no panic").len(), 0);
        assert_eq!(&part[..], b"bc");
        drop(part);
        assert_eq!(buffers.0.lock().expect("no panic").len(), 1);
        let many: Vec<_> = (0..KEPT + 5).map(|_| buffers.take()).collect();
        drop(many);
        assert_eq!(buffers.0.lock().expect("no panic").len(), KEPT);
    }
}
