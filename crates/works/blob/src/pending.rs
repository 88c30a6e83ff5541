//! Bytes that wait to be written.

use bytes::{Bytes, BytesMut};

/// Pushed bytes shorter than this are put together; longer ones are kept as they came. A client that sends byte by
/// byte would otherwise fill the memory with what it takes to keep each.
const CRUMB: usize = 4 * 1024;

/// Bytes in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    chunks: Vec<Bytes>,
    crumbs: BytesMut,
    length: usize,
}

impl Pending {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        if bytes.len() < CRUMB {
            self.crumbs.extend_from_slice(&bytes);
        } else {
            self.flush();
            self.chunks.push(bytes);
        }
    }

    fn flush(&mut self) {
        if !self.crumbs.is_empty() {
            self.chunks.push(self.crumbs.split().freeze());
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// So many bytes, or all if there are fewer.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Bytes> {
        self.flush();
        let (mut taken, mut length) = (Vec::new(), 0);
        let mut rest = std::mem::take(&mut self.chunks).into_iter();
        for mut chunk in rest.by_ref() {
            if length + chunk.len() <= most {
                length += chunk.len();
                taken.push(chunk);
                continue;
            }
            let left = chunk.split_off(most - length);
            length = most;
            taken.push(chunk);
            self.chunks.push(left);
            break;
        }
        self.chunks.extend(rest);
        self.length -= length;
        taken
    }

    pub(crate) fn take_all(&mut self) -> Vec<Bytes> {
        self.take(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_where_they_should() {
        let mut pending = Pending::default();
        for length in [3, 5, 0, 4] {
            pending.push(Bytes::from(vec![length; length as usize]));
        }
        let first: Vec<u8> = pending.take(7).concat();
        assert_eq!(first, [3, 3, 3, 5, 5, 5, 5]);
        assert_eq!(pending.length(), 5);
        assert_eq!(pending.take(5).concat(), [5, 4, 4, 4, 4]);
        assert_eq!(pending.length(), 0);
        assert!(pending.take(5).concat().is_empty());
    }

    #[test]
    fn crumbs_are_put_together_and_stay_in_order() {
        let mut pending = Pending::default();
        let mut whole = Vec::new();
        for at in 0..3 * CRUMB {
            pending.push(Bytes::copy_from_slice(&[at as u8]));
            whole.push(at as u8);
        }
        let long = vec![7; CRUMB];
        pending.push(Bytes::from(long.clone()));
        pending.push(Bytes::from_static(b"end"));
        whole.extend(long);
        whole.extend(b"end");
        let (first, second) = (pending.take(5), pending.take_all());
        assert!(first.len() + second.len() < 10, "not one piece for each push");
        assert_eq!([first.concat(), second.concat()].concat(), whole);
        assert_eq!(pending.length(), 0);
    }
}
