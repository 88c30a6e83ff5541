//! What an operation tells while it goes on.

use serde_json::Value;
use tokio::sync::mpsc;

/// How much may be told before somebody has listened.
const AHEAD: usize = 64;

/// Tells whoever asked for an operation how it goes.
#[derive(Debug, Clone)]
pub struct Teller(Option<mpsc::Sender<Value>>);

impl Teller {
    /// A teller and who listens to it.
    pub fn new() -> (Teller, mpsc::Receiver<Value>) {
        let (sender, receiver) = mpsc::channel(AHEAD);
        (Teller(Some(sender)), receiver)
    }

    /// One to whom nobody listens, and who does not mind.
    pub fn unheard() -> Teller {
        Teller(None)
    }

    /// Tells; whether there is still somebody to tell.
    pub async fn tell(&self, value: Value) -> bool {
        match &self.0 {
            Some(sender) => sender.send(value).await.is_ok(),
            None => true,
        }
    }
}
