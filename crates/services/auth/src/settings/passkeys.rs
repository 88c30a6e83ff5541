//! Passkeys, and security keys as second factors.

use http::Uri;
use std::time::Duration;
use webauthn::RelyingParty;

/// Passkeys, and security keys as second factors.
#[derive(Debug, Clone)]
pub struct WebAuthnSettings {
    /// Sign-in with a passkey alone.
    pub passkeys: bool,
    pub max_passkeys_per_user: usize,
    pub mfa_enroll: bool,
    pub mfa_verify: bool,
    /// The domain that authenticators know the site by; the site URL's host when empty.
    pub rp_id: String,
    /// What people see; the domain when empty.
    pub rp_display_name: String,
    /// Where the site's pages come from; the site URL's origin when empty.
    pub rp_origins: Vec<String>,
    /// Whether authenticators must know who holds them. Else they are asked to, as the reference does.
    pub requires_verification: bool,
    pub challenge_expiry: Duration,
}

impl Default for WebAuthnSettings {
    fn default() -> Self {
        WebAuthnSettings {
            passkeys: false,
            max_passkeys_per_user: 10,
            mfa_enroll: false,
            mfa_verify: false,
            rp_id: String::new(),
            rp_display_name: String::new(),
            rp_origins: Vec::new(),
            requires_verification: false,
            challenge_expiry: Duration::from_secs(300),
        }
    }
}

impl WebAuthnSettings {
    /// The site as authenticators know it; nothing when neither the settings nor the site URL name it.
    pub(crate) fn party(&self, site_url: &str) -> Option<RelyingParty> {
        let site = site_url.parse::<Uri>().ok();
        let host = || site.as_ref().and_then(Uri::host).map(str::to_ascii_lowercase);
        let id = Some(self.rp_id.clone()).filter(|id| !id.is_empty()).or_else(host)?;
        let origin = || {
            let site = site.as_ref()?;
            Some(format!("{}://{}", site.scheme_str()?, site.authority()?))
        };
        let origins = match self.rp_origins.as_slice() {
            [] => vec![origin()?],
            origins => origins.to_vec(),
        };
        let name = Some(self.rp_display_name.clone()).filter(|name| !name.is_empty());
        Some(RelyingParty {
            name: name.unwrap_or_else(|| id.clone()),
            id,
            origins,
            requires_verification: self.requires_verification,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_the_relying_party_unless_another_is_named() {
        let mut settings = WebAuthnSettings::default();
        let party = settings.party("http://App.test:3000/path").unwrap();
        assert_eq!((&*party.id, &*party.name), ("app.test", "app.test"));
        assert_eq!(party.origins, ["http://App.test:3000"]);
        settings.rp_id = "test".to_owned();
        settings.rp_display_name = "App".to_owned();
        settings.rp_origins = vec!["https://a.test".to_owned()];
        let party = settings.party("nowhere").unwrap();
        assert_eq!((&*party.id, &*party.name), ("test", "App"));
        assert_eq!(party.origins, ["https://a.test"]);
        assert_eq!(WebAuthnSettings::default().party(""), None);
    }
}
