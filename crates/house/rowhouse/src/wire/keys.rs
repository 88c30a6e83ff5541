//! The keys of a project as the gateway checks them.

use gateway::{ApiKeys, Binding, KeyKind};
use model::Bound;
use platform::Resolved;

/// All keys, each with what its requests are bound to.
pub(super) fn api_keys(resolved: &Resolved) -> ApiKeys {
    let reference = &resolved.project.reference;
    let bounds: Vec<_> = resolved.keys.iter().map(|key| Bound::from_stored(&key.settings)).collect();
    // What one key sets, a policy may want of the others.
    let declared: Vec<&str> =
        bounds.iter().flatten().flat_map(Bound::settings).map(|(name, _)| &**name).collect();
    let unbound = || Binding::from(Bound::default().knowing(declared.iter().copied()));
    let mut keys = ApiKeys::new(reference.clone());
    if resolved.keys.iter().any(|key| key.kind == catalog::KeyKind::Legacy) {
        keys = keys
            .with_legacy(platform::projects::signing_keys::key_set(&resolved.signing_keys))
            .with_legacy_binding(unbound());
    }
    for (key, bound) in resolved.keys.iter().zip(&bounds) {
        let kind = match key.kind {
            catalog::KeyKind::Legacy => continue,
            catalog::KeyKind::Publishable => KeyKind::Publishable,
            catalog::KeyKind::Secret => KeyKind::Secret,
        };
        let binding = match bound {
            Ok(bound) => Binding::from(bound.clone().knowing(declared.iter().copied())),
            Err(error) => {
                tracing::error!(project = %reference, key = %key.id, %error, "a stored key's settings");
                Binding::Malformed
            }
        };
        match key.hash() {
            Ok(hash) => keys = keys.with_bound(kind, hash, binding),
            Err(error) => tracing::error!(project = %reference, key = %key.id, %error, "a stored key"),
        }
    }
    keys
}
