//! E-mail addresses and phone numbers as users type them.

use crate::refusal::{Outcome, invalid};

/// The address in lower case, if it looks like one. Whether it exists only a message can tell.
pub(crate) fn email(text: &str) -> Outcome<String> {
    if text.is_empty() {
        return Err(invalid("An email address is required"));
    }
    if text.len() > 255 {
        return Err(invalid("An email address is too long"));
    }
    match text.split_once('@') {
        Some((local, domain)) if is_local_part(local) && domain.split('.').all(is_label) => {
            Ok(text.to_lowercase())
        }
        _ => Err(invalid("Unable to validate email address: invalid format")),
    }
}

fn is_local_part(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The number as digits, without the leading plus and blanks.
pub(crate) fn phone(text: &str) -> Outcome<String> {
    let number = phone_digits(text);
    let good = (2..=15).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && !number.starts_with('0');
    if good { Ok(number) } else { Err(invalid("Invalid phone number format (E.164 required)")) }
}

/// The form in which numbers are stored, of a text that may not be one.
pub(crate) fn phone_digits(text: &str) -> String {
    text.trim().strip_prefix('+').unwrap_or(text).replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_checked_for_form_and_lowered() {
        assert_eq!(email("A.b+c@Example.COM").unwrap(), "a.b+c@example.com");
        assert_eq!(email("root@localhost").unwrap(), "root@localhost");
        for bad in ["", "a", "@b.c", "a@", "a@b..c", "a@-b.c", "a b@c.d", "a@b@c", "ä@b.c"] {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert!(email(&format!("{}@b.c", "a".repeat(255))).is_err());
    }

    #[test]
    fn phones_lose_plus_and_blanks() {
        assert_eq!(phone("+49 170 1234567").unwrap(), "491701234567");
        for bad in ["", "0170", "12a", "+", "1234567890123456"] {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }
}
