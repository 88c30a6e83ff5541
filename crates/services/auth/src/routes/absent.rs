//! Parts of the reference that this service does not offer (yet), with the answers of a server where they are
//! switched off. Who asks is checked first where the reference does.

use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::refusal::{Outcome, refuse};
use axum::body::Body;
use http::Response;

type Answer = Outcome<Response<Body>>;

pub(super) fn sso() -> Answer {
    Err(refuse(404, "saml_provider_disabled", "SAML 2.0 is disabled"))
}

pub(super) fn passkeys() -> Answer {
    Err(refuse(404, "passkey_disabled", "Passkeys are disabled"))
}

pub(super) async fn custom_providers(auth: &Auth, call: &Call) -> Answer {
    guard::admin(auth, call).await?;
    Err(refuse(404, "feature_disabled", "Custom OAuth providers are disabled"))
}

pub(super) async fn sso_admin(auth: &Auth, call: &Call) -> Answer {
    guard::admin(auth, call).await?;
    sso()
}

pub(super) fn authorize(call: &Call) -> Answer {
    let provider = call.query("provider");
    let message = format!("Unsupported provider: Provider {provider} could not be found");
    Err(refuse(400, "validation_failed", message))
}

pub(super) async fn link_identity(auth: &Auth, call: &Call) -> Answer {
    guard::user(auth, call).await?;
    super::identities::check_enabled(auth)?;
    authorize(call)
}

pub(super) fn web3() -> Answer {
    Err(refuse(422, "web3_provider_disabled", "Web3 provider is disabled"))
}

pub(super) fn id_token() -> Answer {
    Err(refuse(400, "provider_disabled", "Provider is not enabled"))
}
