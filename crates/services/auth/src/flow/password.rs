//! Which passwords are good enough.

use crate::refusal::{Outcome, invalid};
use crate::settings::Settings;

/// bcrypt reads no more.
const PASSWORD_BYTES_MAX: usize = 72;

/// What is wrong with a password that can be hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weakness {
    pub(crate) message: String,
    pub(crate) reasons: Vec<&'static str>,
}

/// Refuses passwords of which bcrypt would see only a part.
pub(crate) fn check_length(password: &str) -> Outcome<()> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(invalid(format!("Password cannot be longer than {PASSWORD_BYTES_MAX} characters")));
    }
    if password.contains('\0') {
        return Err(invalid("Password cannot contain the null character"));
    }
    Ok(())
}

/// What makes a password weak, if anything.
pub(crate) fn weakness(settings: &Settings, password: &str) -> Option<Weakness> {
    let mut messages = Vec::new();
    let mut reasons = Vec::new();
    if password.len() < settings.password_min_length {
        reasons.push("length");
        messages.push(format!("Password should be at least {} characters.", settings.password_min_length));
    }
    let sets = &settings.password_required_characters;
    if sets.iter().any(|set| !set.is_empty() && !password.contains(|c| set.contains(c))) {
        reasons.push("characters");
        let sets = sets.join(", ");
        messages.push(format!("Password should contain at least one character of each: {sets}."));
    }
    (!reasons.is_empty()).then(|| Weakness { message: messages.join(" "), reasons })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn settings() -> Settings {
        let keys = Arc::new(token::KeySet::from_secret(b"secret"));
        let mut settings = Settings::new(keys, "http://localhost:3000", "http://localhost/auth/v1");
        settings.password_required_characters = vec!["abc".into(), "0123456789".into()];
        settings
    }

    #[test]
    fn weak_passwords_name_every_reason() {
        let found = weakness(&settings(), "b").unwrap();
        assert_eq!(found.reasons, ["length", "characters"]);
        assert_eq!(
            found.message,
            "Password should be at least 6 characters. Password should contain at least one character of each: abc, 0123456789."
        );
        assert_eq!(weakness(&settings(), "abcdef1"), None);
    }

    #[test]
    fn what_bcrypt_would_cut_is_refused() {
        assert_eq!(check_length(&"a1".repeat(37)).unwrap_err().fault.status.as_u16(), 400);
        assert!(check_length(&"a1".repeat(36)).is_ok());
    }
}
