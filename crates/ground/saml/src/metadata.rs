//! What an identity provider publishes of itself.

use crate::certificate::PublicKey;
use crate::error::MetadataError;
use crate::instant;
use crate::xml::{self, METADATA, SIGNATURE, children};
use roxmltree::Node;
use std::time::Duration;
use time::OffsetDateTime;

const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
/// Keys and entities beyond these are not looked at.
const KEYS_MAX: usize = 16;
const ENTITIES_MAX: usize = 1_000;

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    pub entity_id: String,
    /// Where requests go by the redirect binding.
    pub redirect_location: Option<String>,
    pub valid_until: Option<OffsetDateTime>,
    pub cache_duration: Option<Duration>,
    pub(crate) keys: Vec<PublicKey>,
}

impl IdentityProvider {
    /// Reads metadata: of one entity, or of several of which the first identity provider counts.
    pub fn parse(text: &str) -> Result<IdentityProvider, MetadataError> {
        let text = text.trim_start_matches('\u{feff}');
        let document = xml::parse(text).map_err(|_| MetadataError::Xml)?;
        let root = document.root_element();
        let entity = match root.tag_name().name() {
            "EntityDescriptor" if root.tag_name().namespace() == Some(METADATA) => root,
            "EntitiesDescriptor" if root.tag_name().namespace() == Some(METADATA) => {
                let mut entities = children(root, METADATA, "EntityDescriptor").take(ENTITIES_MAX);
                entities
                    .find(|entity| providers(*entity).next().is_some())
                    .ok_or(MetadataError::NoProvider)?
            }
            _ => return Err(MetadataError::NoEntity),
        };
        let entity_id = entity.attribute("entityID").map(str::trim).unwrap_or_default();
        if entity_id.is_empty() {
            return Err(MetadataError::NoEntityId);
        }
        let mut found = providers(entity);
        let provider = found.next().ok_or(MetadataError::NoProvider)?;
        if found.next().is_some() {
            return Err(MetadataError::SeveralProviders);
        }
        Ok(IdentityProvider {
            entity_id: entity_id.to_owned(),
            redirect_location: redirect_location(provider),
            valid_until: entity.attribute("validUntil").and_then(instant::read),
            cache_duration: entity.attribute("cacheDuration").and_then(instant::duration),
            keys: keys(provider),
        })
    }

    /// Whether the metadata should be read again, having been read at this time.
    pub fn is_stale(&self, read_at: OffsetDateTime, now: OffsetDateTime) -> bool {
        const DAY: Duration = Duration::from_secs(86_400);
        let outdated = |after: Duration| now > read_at + after;
        self.valid_until.is_some_and(|end| now > end)
            || self.cache_duration.is_some_and(|after| !after.is_zero() && outdated(after))
            || (self.valid_until.is_none()
                && self.cache_duration.is_none_or(|d| d.is_zero())
                && outdated(DAY))
    }

    /// How many keys it signs with.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }
}

fn providers<'a, 'i>(entity: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    children(entity, METADATA, "IDPSSODescriptor")
}

fn redirect_location(provider: Node<'_, '_>) -> Option<String> {
    let mut services = children(provider, METADATA, "SingleSignOnService");
    let service = services.find(|service| service.attribute("Binding") == Some(REDIRECT))?;
    let location = service.attribute("Location")?.trim();
    let is_web = location.starts_with("https://") || location.starts_with("http://");
    let is_plain = location.bytes().all(|b| b.is_ascii_graphic());
    (is_web && is_plain).then(|| location.to_owned())
}

/// The keys for signatures: those that say so and those that do not say what they are for.
fn keys(provider: Node<'_, '_>) -> Vec<PublicKey> {
    let descriptors = children(provider, METADATA, "KeyDescriptor")
        .filter(|key| matches!(key.attribute("use"), None | Some("" | "signing")));
    let infos = descriptors.flat_map(|key| children(key, SIGNATURE, "KeyInfo"));
    let data = infos.flat_map(|info| children(info, SIGNATURE, "X509Data"));
    let certificates = data.flat_map(|data| children(data, SIGNATURE, "X509Certificate"));
    certificates.filter_map(|node| PublicKey::of_certificate(&xml::text(node)?)).take(KEYS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(attributes: &str, inside: &str) -> String {
        format!("<EntityDescriptor xmlns='{METADATA}' {attributes}>{inside}</EntityDescriptor>")
    }

    const IDP: &str = "<IDPSSODescriptor>\
        <SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST' Location='https://idp/post'/>\
        <SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect' Location='https://idp/r'/>\
        </IDPSSODescriptor>";

    #[test]
    fn one_provider_is_described() {
        let text =
            metadata("entityID='https://idp' validUntil='2026-11-21T08:00:00Z' cacheDuration='PT1H'", IDP);
        let provider = IdentityProvider::parse(&text).unwrap();
        assert_eq!(provider.entity_id, "https://idp");
        assert_eq!(provider.redirect_location.as_deref(), Some("https://idp/r"));
        assert_eq!(provider.cache_duration, Some(Duration::from_secs(3600)));
        let group = format!(
            "<EntitiesDescriptor xmlns='{METADATA}'>{}{text}</EntitiesDescriptor>",
            metadata("entityID='x'", "")
        );
        assert_eq!(IdentityProvider::parse(&group).unwrap().entity_id, "https://idp");
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = |text: String| IdentityProvider::parse(&text).unwrap_err();
        assert_eq!(error("<x".into()), MetadataError::Xml);
        assert_eq!(error("<!DOCTYPE x><x/>".into()), MetadataError::Xml);
        assert_eq!(error("<x/>".into()), MetadataError::NoEntity);
        assert_eq!(error(metadata("", IDP)), MetadataError::NoEntityId);
        assert_eq!(error(metadata("entityID='x'", "")), MetadataError::NoProvider);
        assert_eq!(error(metadata("entityID='x'", &format!("{IDP}{IDP}"))), MetadataError::SeveralProviders);
    }

    #[test]
    fn metadata_grow_stale() {
        let read = instant::read("2026-11-21T08:00:00Z").unwrap();
        let after = |attributes: &str, seconds: u64| {
            let provider =
                IdentityProvider::parse(&metadata(&format!("entityID='x' {attributes}"), IDP)).unwrap();
            provider.is_stale(read, read + Duration::from_secs(seconds))
        };
        assert!(!after("", 86_000) && after("", 87_000));
        assert!(!after("cacheDuration='PT1H'", 3_600) && after("cacheDuration='PT1H'", 3_601));
        let until = "validUntil='2026-12-21T08:00:00Z'";
        assert!(!after(until, 87_000) && after(until, 30 * 86_400 + 1));
    }

    #[test]
    fn locations_are_web_addresses() {
        let text = metadata("entityID='x'", &IDP.replace("https://idp/r", "javascript:alert(1)"));
        assert_eq!(IdentityProvider::parse(&text).unwrap().redirect_location, None);
    }
}
