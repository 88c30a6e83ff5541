//! What the browser says: for what, for which challenge, from where.

use crate::{Error, RelyingParty, same};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;

/// No browser writes more.
const BYTES_MAX: usize = 16 * 1024;

/// What the answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Get,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    purpose: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// Checks the data of the client against what was asked.
pub(crate) fn check(
    json: &[u8],
    purpose: Purpose,
    party: &RelyingParty,
    challenge: &[u8],
) -> Result<(), Error> {
    if json.len() > BYTES_MAX {
        return Err(Error::Form);
    }
    let data: ClientData = serde_json::from_slice(json).map_err(|_| Error::Form)?;
    let wanted = match purpose {
        Purpose::Create => "webauthn.create",
        Purpose::Get => "webauthn.get",
    };
    if data.purpose != wanted {
        return Err(Error::Purpose);
    }
    let given = B64.decode(data.challenge.trim_end_matches('=')).map_err(|_| Error::Challenge)?;
    if challenge.is_empty() || !same(&given, challenge) {
        return Err(Error::Challenge);
    }
    // A page of somebody else that frames ours is not us.
    if data.cross_origin || !party.origins.iter().any(|known| is_same_origin(known, &data.origin)) {
        return Err(Error::Origin);
    }
    Ok(())
}

/// Origins are compared as wholes; only the case of scheme and host does not count, nor a slash at the end of what
/// was configured.
fn is_same_origin(known: &str, given: &str) -> bool {
    let known = known.trim_end_matches('/');
    // Of apps (`android:apk-key-hash:…`) the case counts.
    if known.contains("://") { known.eq_ignore_ascii_case(given) } else { known == given }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_whole() {
        assert!(is_same_origin("https://a.test", "https://a.test"));
        assert!(is_same_origin("https://A.test/", "https://a.test"));
        for other in ["http://a.test", "https://a.test:444", "https://a.test.evil", "https://b.a.test", ""] {
            assert!(!is_same_origin("https://a.test", other), "{other}");
        }
        assert!(!is_same_origin("android:apk-key-hash:Ab", "android:apk-key-hash:ab"));
    }
}
