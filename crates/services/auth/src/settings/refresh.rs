//! Which refresh tokens are handed out.

/// Which refresh tokens are handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefreshTokenSettings {
    /// Whether new sessions get signed tokens, which carry session and counter, instead of rows of a table.
    pub signed: bool,
    /// Of a hundred sessions with stored tokens so many move over to signed ones when they are refreshed.
    pub upgrade_percentage: u8,
    /// A signed token that is behind is never taken for a stolen one: the client gets the current one.
    pub allow_reuse: bool,
}
