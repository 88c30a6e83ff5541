//! This service as identity providers see it: made of the project's key when it is first needed.

use crate::Auth;
use crate::moment::Moment;
use crate::refusal::{Outcome, internal, refuse};
use crate::settings::Settings;
use lru::LruCache;
use saml::{KeyError, ServiceProvider, SigningKey};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// How long metadata that could not be read again are not tried again.
const TRIED_PAUSE: Duration = Duration::from_secs(60);
/// How many identity providers whose metadata were tried are remembered.
const TRIED_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// The service provider of a project.
#[derive(Debug)]
pub(crate) struct SamlService {
    made: OnceLock<Result<ServiceProvider, KeyError>>,
    /// When the metadata of identity providers were last tried to be read again.
    tried: Mutex<LruCache<Uuid, Moment>>,
}

impl Default for SamlService {
    fn default() -> Self {
        SamlService { made: OnceLock::new(), tried: Mutex::new(LruCache::new(TRIED_MAX)) }
    }
}

impl SamlService {
    /// Whether metadata may be read again now; who asks will try. Strangers' sign-ins may not have a server asked
    /// each time that does not answer.
    pub(crate) fn may_try(&self, provider: Uuid, now: Moment) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.get(&provider).is_some_and(|at| now < at.plus(TRIED_PAUSE)) {
            return false;
        }
        tried.put(provider, now);
        true
    }
}

impl Auth {
    /// The service provider, where single sign-on is switched on.
    pub(crate) fn service_provider(&self) -> Outcome<&ServiceProvider> {
        if !self.settings.saml.enabled {
            return Err(refuse(404, "saml_provider_disabled", "SAML 2.0 is disabled"));
        }
        let made = self.saml.made.get_or_init(|| make(&self.settings));
        made.as_ref().map_err(|error| internal("The SAML private key is not usable", *error))
    }
}

fn make(settings: &Settings) -> Result<ServiceProvider, KeyError> {
    let saml = &settings.saml;
    let key = Arc::new(SigningKey::read(saml.private_key.expose())?);
    let next = Some(&saml.private_key_next).filter(|key| !key.is_empty());
    let next = next.map(|key| SigningKey::read(key.expose()).map(Arc::new)).transpose()?;
    let url = if saml.external_url.is_empty() { &settings.external_url } else { &saml.external_url };
    Ok(ServiceProvider::new(url, key, next, saml.allow_encrypted_assertions))
}

/// A new key for [`crate::SamlSettings::private_key`]. Takes a while: not for the async runtime.
///
/// # Errors
/// Only when the system has no random numbers.
pub fn new_saml_key() -> Result<String, KeyError> {
    SigningKey::generate()
}

/// Why a text is no key for single sign-on, if it is none.
pub fn saml_key_fault(text: &str) -> Option<String> {
    SigningKey::read(text).err().map(|fault| fault.to_string())
}
