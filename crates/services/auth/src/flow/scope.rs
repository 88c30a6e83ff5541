//! What an application may know of a user.

/// The scopes that there are.
pub(crate) const SUPPORTED: [&str; 5] = ["openid", "profile", "email", "phone", "offline_access"];

/// The scopes of a list with blanks between.
pub(crate) fn parse(list: &str) -> impl Iterator<Item = &str> {
    list.split_ascii_whitespace()
}

/// Whether a list names a scope.
pub(crate) fn has(list: &str, scope: &str) -> bool {
    parse(list).any(|known| known == scope)
}

/// Whether all that is wanted was granted.
pub(crate) fn covers(granted: &str, wanted: &str) -> bool {
    parse(wanted).all(|scope| has(granted, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_its_parts_only() {
        assert!(covers("email openid", "openid  email"));
        assert!(covers("email", ""));
        assert!(!covers("email", "email profile"));
        assert!(!has("emails", "email"));
    }
}
