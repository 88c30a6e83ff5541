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

pub(super) async fn sso_admin(auth: &Auth, call: &Call) -> Answer {
    guard::admin(auth, call).await?;
    sso()
}

pub(super) fn web3() -> Answer {
    Err(refuse(422, "web3_provider_disabled", "Web3 provider is disabled"))
}
