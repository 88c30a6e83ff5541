//! The gateway on a real socket, with services that say what reached them.

mod front;
mod house;
mod sockets;
