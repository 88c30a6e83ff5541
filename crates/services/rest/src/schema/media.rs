//! Custom media type handlers: domains named like media types.

use super::Name;
use std::collections::HashMap;

/// What a handler serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HandlerTarget {
    /// An aggregate over a relation's row type serves that relation.
    Relation(Name),
    /// A scalar function that returns the domain serves its own result: the function's name.
    Function(Name),
    /// An aggregate over `anyelement` serves every relation.
    Any,
}

/// A function or aggregate whose result is the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaHandler {
    /// The aggregate, or the scalar function itself.
    pub function: Name,
    /// What it serves.
    pub target: HandlerTarget,
    /// The domain's name in lower case: `image/png`, or `*/*`.
    pub media_type: Box<str>,
    /// Schema and name of the domain.
    pub domain: Name,
}

/// All custom handlers.
#[derive(Debug, Default)]
pub struct MediaHandlers {
    by_target: HashMap<HandlerTarget, Vec<MediaHandler>>,
}

impl MediaHandlers {
    /// A set of handlers.
    pub fn new(handlers: impl IntoIterator<Item = MediaHandler>) -> Self {
        let mut by_target: HashMap<HandlerTarget, Vec<MediaHandler>> = HashMap::new();
        for handler in handlers {
            by_target.entry(handler.target.clone()).or_default().push(handler);
        }
        MediaHandlers { by_target }
    }

    /// Whether there is none (the usual case: skips all further lookups).
    pub fn is_empty(&self) -> bool {
        self.by_target.is_empty()
    }

    /// The handlers of a target.
    pub fn of(&self, target: &HandlerTarget) -> &[MediaHandler] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// The handler of a target for a media type (lower case, without parameters).
    pub fn find(&self, target: &HandlerTarget, media_type: &str) -> Option<&MediaHandler> {
        self.of(target).iter().find(|handler| &*handler.media_type == media_type)
    }
}
