//! `POST /sso/saml/acs`: back from an identity provider.

use super::sso_metadata;
use crate::Auth;
use crate::call::Call;
use crate::external::{self, Arrival, Besides, Ended, Ending, Purpose, Spent};
use crate::flow::{attribute_mapping, redirect};
use crate::guard::audience;
use crate::moment::Moment;
use crate::refusal::{Outcome, Refusal, database, internal, invalid, refuse};
use crate::reply;
use crate::store::db::{Step, first};
use crate::store::proofs;
use crate::store::records::FlowState;
use crate::store::relay_states::{self, RelayState};
use crate::store::sso_providers::{self, SsoProvider};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Response;
use saml::{Assertion, Expectation, ServiceProvider};
use uuid::Uuid;

const METHOD: &str = "sso/saml";
const FAILED: &str = "Database error finding SSO provider";
const DISABLED: &str = "SSO Provider assigned for this domain is currently disabled";

/// What the relay state says of the sign-in that ends here.
struct Begun {
    provider: SsoProvider,
    /// The request that is answered; nothing when the identity provider begins.
    request_id: Option<String>,
    redirect_to: String,
    flow: Option<FlowState>,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let service = auth.service_provider()?;
    match answer(auth, call, service).await {
        Ok(location) => Ok(reply::found(&location)),
        Err(refusal) => {
            tracing::info!(status = refusal.fault.status.as_u16(), message = %refusal.fault.message, "single sign-on refused");
            if let Some(cause) = refusal.fault.cause() {
                tracing::error!(%cause, "single sign-on failed");
            }
            Ok(reply::see_other(&refused(&auth.settings.site_url, &refusal)))
        }
    }
}

/// The site with the error in its query.
fn refused(site: &str, refusal: &Refusal) -> String {
    let (fault, status) = (&refusal.fault, refusal.fault.status.as_u16());
    let error = match (fault.code.as_ref(), status) {
        ("signup_disabled" | "user_banned" | "provider_email_needs_verification", _) | (_, 403) => {
            "access_denied"
        }
        (_, 400) => "invalid_request",
        (_, 401) => "unauthorized_client",
        (_, 503) => "temporarily_unavailable",
        _ => "server_error",
    };
    let pairs = [
        ("error", error),
        ("error_code", fault.code.as_ref()),
        ("error_description", fault.message.as_str()),
    ];
    redirect::with_query(site, &pairs)
}

async fn answer(auth: &Auth, call: &Call, service: &ServiceProvider) -> Outcome<String> {
    let relay = call.form("RelayState");
    let begun = match Uuid::parse_str(&relay).ok().filter(|id| !id.is_nil()) {
        Some(id) => resume(auth, call, id).await?,
        None if relay.is_empty() || is_uri(&relay) => unsolicited(auth, call, relay).await?,
        None => return Err(invalid("SAML RelayState is not a valid UUID or URL")),
    };
    if !begun.provider.is_enabled() {
        return Err(refuse(404, "sso_provider_disabled", DISABLED));
    }
    let text = response(call)?;
    let metadata = sso_metadata::current(auth, call, &begun.provider).await?;
    let assertion = verify(service, text, metadata, begun.request_id.clone(), call.now).await?;
    let target = [begun.redirect_to.as_str()];
    let target = redirect::target(&auth.settings, &target).to_owned();
    match sign_in(auth, call, &begun, &assertion).await? {
        Ended::Session(grant) => Ok(grant.redirect(&target, &[])),
        Ended::Code(code) => Ok(redirect::with_query(&target, &[("code", &code)])),
    }
}

/// An absolute URL or a path from the root.
fn is_uri(text: &str) -> bool {
    text.starts_with('/') || redirect::Parts::read(text).is_some()
}

/// A sign-in that began here.
async fn resume(auth: &Auth, call: &Call, id: Uuid) -> Outcome<Begun> {
    let rows = auth.db.one(relay_states::take(id)).await.map_err(database(FAILED))?;
    let relay: Option<RelayState> = first(&rows).map_err(database(FAILED))?;
    let relay = relay.ok_or_else(|| {
        let message = "SAML RelayState does not exist, try logging in again?";
        refuse(404, "saml_relay_state_not_found", message)
    })?;
    let validity = auth.settings.saml.relay_state_validity;
    if relay.created_at.is_none_or(|at| call.now >= at.plus(validity)) {
        let message = "SAML RelayState has expired. Try logging in again?";
        return Err(refuse(422, "saml_relay_state_expired", message));
    }
    let provider = find(auth, sso_providers::by_id(relay.sso_provider_id)).await?;
    let gone = || internal("Unable to find SSO Provider from SAML RelayState", "it is gone");
    Ok(Begun {
        provider: provider.ok_or_else(gone)?,
        request_id: Some(relay.request_id),
        redirect_to: relay.redirect_to.unwrap_or_default(),
        flow: relay.flow,
    })
}

/// A sign-in that began at the identity provider.
async fn unsolicited(auth: &Auth, call: &Call, redirect_to: String) -> Outcome<Begun> {
    if !call.form("SAMLart").is_empty() {
        return Err(invalid("SAML Artifact response can only be used with SP initiated flow"));
    }
    let issuer = saml::issuer_of(&response(call)?)
        .map_err(|_| invalid("SAMLResponse is not a valid XML SAML assertion"))?;
    let provider = find(auth, sso_providers::by_entity(&issuer)).await?.ok_or_else(|| {
        let message = "A SAML connection has not been established with this Identity Provider";
        refuse(404, "saml_idp_not_found", message)
    })?;
    Ok(Begun { provider, request_id: None, redirect_to, flow: None })
}

async fn find(auth: &Auth, step: Step) -> Outcome<Option<SsoProvider>> {
    let rows = auth.db.one(step).await.map_err(database(FAILED))?;
    first(&rows).map_err(database(FAILED))
}

fn response(call: &Call) -> Outcome<String> {
    let encoded: String = call.form("SAMLResponse").split_whitespace().collect();
    if encoded.is_empty() {
        return Err(invalid("SAMLResponse is missing"));
    }
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or_else(|| invalid("SAMLResponse is not a valid Base64 string"))
}

/// Verifies off the runtime's threads: documents may be large.
async fn verify(
    service: &ServiceProvider,
    text: String,
    provider: saml::IdentityProvider,
    request_id: Option<String>,
    now: Moment,
) -> Outcome<Assertion> {
    let service = service.clone();
    let work = move || {
        let expected =
            Expectation { provider: &provider, request_id: request_id.as_deref(), now: now.time() };
        service.accept(&text, &expected)
    };
    let verified = tokio::task::spawn_blocking(work).await;
    let verified = verified.map_err(|error| internal("Unable to verify the SAML assertion", error))?;
    verified.map_err(|error| {
        tracing::info!(%error, "a SAML response was refused");
        invalid("SAML Assertion is not valid")
    })
}

async fn sign_in(auth: &Auth, call: &Call, begun: &Begun, assertion: &Assertion) -> Outcome<Ended> {
    let saml = &begun.provider.saml;
    let subject = assertion.user_id().ok_or_else(|| {
        let message = "SAML Assertion did not contain a persistent Subject Identifier attribute or Subject NameID uniquely identifying this user";
        refuse(400, "saml_assertion_no_user_id", message)
    })?;
    let claims = saml.attribute_mapping.claims(assertion);
    let mapped = claims.get("email").and_then(serde_json::Value::as_str).filter(|email| !email.is_empty());
    let email = mapped.or_else(|| assertion.email()).filter(|email| !email.is_empty()).ok_or_else(|| {
        refuse(400, "saml_assertion_no_email", "SAML Assertion does not contain an email address")
    })?;
    let email = email.to_owned();
    let arrival = Arrival {
        provider: format!("sso:{}", begun.provider.id),
        profile: attribute_mapping::profile(&saml.entity_id, &subject, &email, claims),
        email_optional: false,
        audience: audience(&auth.settings, call, None),
    };
    let flow = begun.flow.as_ref();
    let coded = flow.filter(|flow| flow.code_challenge.as_deref().is_some_and(|text| !text.is_empty()));
    let session_end = assertion.session_not_on_or_after.map(Moment::from_time);
    let ending = match coded {
        Some(flow) => {
            Ending::Code { flow: flow.id, access_token: String::new(), refresh_token: String::new() }
        }
        None => Ending::Session { method: METHOD, flow: flow.map(|flow| flow.id) },
    };
    let proof = format!("{}\0{}", saml.entity_id, assertion.id);
    let until = Moment::from_time(assertion.spent_until);
    let left = coded.map(|flow| (flow.id, session_end));
    let spent = Spent { step: proofs::spend("saml", proof.as_bytes(), until, left), refusal: used };
    let besides = Besides { spent: Some(spent), session_end, traits: None };
    external::run_with(auth, call, &arrival, &Purpose::SignIn, &ending, &besides).await
}

fn used() -> Refusal {
    tracing::info!("a SAML assertion was presented again");
    invalid("SAML Assertion is not valid")
}
