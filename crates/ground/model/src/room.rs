//! Memory that a request may take.

use std::sync::Arc;

/// The memory set aside for one request, which the gateway puts on it. Whoever keeps a body or an answer whole takes
/// its bytes here first; they are free again when the answer has been sent.
#[derive(Clone)]
pub struct Room(Arc<dyn Fn(u64) -> bool + Send + Sync>);

impl Room {
    /// Room out of a budget: `take` says whether there are so many bytes more, and takes them if so.
    pub fn new(take: impl Fn(u64) -> bool + Send + Sync + 'static) -> Room {
        Room(Arc::new(take))
    }

    /// Takes so many bytes; false when there is no memory for them.
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        (self.0)(bytes)
    }
}

/// Room without a bound, for services without a gateway.
impl Default for Room {
    fn default() -> Self {
        Room::new(|_| true)
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Room")
    }
}
