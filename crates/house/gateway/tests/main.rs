//! The gateway on a real socket, with services that say what reached them.

// A test that cannot go on panics, also in the parts that tests share.
#![allow(clippy::unwrap_used)]

mod front;
mod house;
mod sockets;
