//! The routes: which path and method is what, and one file a flow step.

mod admin_audit;
mod admin_factors;
mod admin_mail;
mod admin_sso;
mod admin_user_delete;
mod admin_user_update;
mod admin_users;
mod authorize;
mod callback;
mod confirm_page;
mod custom_providers;
mod email_change;
mod factor_verify;
mod factors;
mod generate_link;
mod id_token_grant;
mod identities;
mod invite;
mod keys;
mod logout;
mod oauth_authorize;
mod oauth_clients;
mod oauth_consent;
mod oauth_grants;
mod oauth_token;
mod otp;
mod pages;
mod passkey_sign_in;
mod passkeys;
mod password_grant;
mod pkce_grant;
mod proven;
mod reauthenticate;
mod recover;
mod refresh_grant;
mod refresh_signed;
mod resend;
mod saml_acs;
mod settings;
mod signup;
mod sso;
mod sso_metadata;
mod user;
mod user_cursor;
mod user_update;
mod verify;
mod web3_grant;
mod webauthn_factor;

use crate::Auth;
use crate::call::Call;
use crate::captcha;
use crate::limits::Bucket;
use crate::refusal::{Outcome, refuse};
use axum::body::Body;
use http::{Method, Response, StatusCode};

/// Said of an address that another account has.
const EMAIL_TAKEN: &str = "A user with this email address has already been registered";
/// Said of a number that another account has.
const PHONE_TAKEN: &str = "A user with this phone number has already been registered";

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Health,
    Settings,
    Jwks,
    Discovery,
    Signup,
    Token,
    UserGet,
    UserUpdate,
    Logout,
    Recover,
    Otp,
    MagicLink,
    Resend,
    VerifyGet,
    VerifyPost,
    Reauthenticate,
    Invite,
    AdminAudit,
    AdminMail,
    AdminUserList,
    AdminUserCreate,
    AdminUserGet,
    AdminUserUpdate,
    AdminUserDelete,
    AdminFactorList,
    AdminFactorUpdate,
    AdminFactorDelete,
    GenerateLink,
    FactorEnroll,
    FactorDelete,
    FactorChallenge,
    FactorVerify,
    IdentityDelete,
    IdentityLink,
    Authorize,
    Callback,
    Sso,
    PasskeyList,
    PasskeyRename,
    PasskeyDelete,
    PasskeyRegistrationOptions,
    PasskeyRegistrationVerify,
    PasskeyAuthenticationOptions,
    PasskeyAuthenticationVerify,
    AdminPasskeyList,
    AdminPasskeyDelete,
    SamlMetadata,
    SamlAcs,
    SsoProviderList,
    SsoProviderCreate,
    SsoProviderGet,
    SsoProviderUpdate,
    SsoProviderDelete,
    OAuthClientList,
    OAuthClientCreate,
    OAuthClientGet,
    OAuthClientUpdate,
    OAuthClientDelete,
    OAuthClientSecret,
    OAuthClientRegister,
    OAuthAuthorize,
    OAuthAuthorization,
    OAuthConsent,
    OAuthToken,
    OAuthUserInfo,
    OAuthGrantList,
    OAuthGrantRevoke,
    OAuthDiscovery,
    CustomProviderList,
    CustomProviderCreate,
    CustomProviderGet,
    CustomProviderUpdate,
    CustomProviderDelete,
}

/// The table of routes. `:id` stands for any segment.
const ROUTES: &[(Method, &str, Endpoint)] = &[
    (Method::GET, "/health", Endpoint::Health),
    (Method::GET, "/settings", Endpoint::Settings),
    (Method::GET, "/.well-known/jwks.json", Endpoint::Jwks),
    (Method::GET, "/.well-known/openid-configuration", Endpoint::Discovery),
    (Method::POST, "/signup", Endpoint::Signup),
    (Method::POST, "/token", Endpoint::Token),
    (Method::GET, "/user", Endpoint::UserGet),
    (Method::PUT, "/user", Endpoint::UserUpdate),
    (Method::POST, "/logout", Endpoint::Logout),
    (Method::POST, "/recover", Endpoint::Recover),
    (Method::POST, "/otp", Endpoint::Otp),
    (Method::POST, "/magiclink", Endpoint::MagicLink),
    (Method::POST, "/resend", Endpoint::Resend),
    (Method::GET, "/verify", Endpoint::VerifyGet),
    (Method::POST, "/verify", Endpoint::VerifyPost),
    (Method::GET, "/reauthenticate", Endpoint::Reauthenticate),
    (Method::POST, "/invite", Endpoint::Invite),
    (Method::GET, "/admin/audit", Endpoint::AdminAudit),
    (Method::GET, "/admin/mail", Endpoint::AdminMail),
    (Method::GET, "/admin/users", Endpoint::AdminUserList),
    (Method::POST, "/admin/users", Endpoint::AdminUserCreate),
    (Method::GET, "/admin/users/:id", Endpoint::AdminUserGet),
    (Method::PUT, "/admin/users/:id", Endpoint::AdminUserUpdate),
    (Method::DELETE, "/admin/users/:id", Endpoint::AdminUserDelete),
    (Method::GET, "/admin/users/:id/factors", Endpoint::AdminFactorList),
    (Method::PUT, "/admin/users/:id/factors/:factor", Endpoint::AdminFactorUpdate),
    (Method::DELETE, "/admin/users/:id/factors/:factor", Endpoint::AdminFactorDelete),
    (Method::POST, "/admin/generate_link", Endpoint::GenerateLink),
    (Method::POST, "/factors", Endpoint::FactorEnroll),
    (Method::DELETE, "/factors/:id", Endpoint::FactorDelete),
    (Method::POST, "/factors/:id/challenge", Endpoint::FactorChallenge),
    (Method::POST, "/factors/:id/verify", Endpoint::FactorVerify),
    (Method::GET, "/user/identities/authorize", Endpoint::IdentityLink),
    (Method::DELETE, "/user/identities/:id", Endpoint::IdentityDelete),
    (Method::GET, "/authorize", Endpoint::Authorize),
    (Method::GET, "/callback", Endpoint::Callback),
    (Method::POST, "/callback", Endpoint::Callback),
    (Method::POST, "/sso", Endpoint::Sso),
    (Method::GET, "/passkeys", Endpoint::PasskeyList),
    (Method::PATCH, "/passkeys/:id", Endpoint::PasskeyRename),
    (Method::DELETE, "/passkeys/:id", Endpoint::PasskeyDelete),
    (Method::POST, "/passkeys/registration/options", Endpoint::PasskeyRegistrationOptions),
    (Method::POST, "/passkeys/registration/verify", Endpoint::PasskeyRegistrationVerify),
    (Method::POST, "/passkeys/authentication/options", Endpoint::PasskeyAuthenticationOptions),
    (Method::POST, "/passkeys/authentication/verify", Endpoint::PasskeyAuthenticationVerify),
    (Method::GET, "/admin/users/:id/passkeys", Endpoint::AdminPasskeyList),
    (Method::DELETE, "/admin/users/:id/passkeys/:passkey", Endpoint::AdminPasskeyDelete),
    (Method::GET, "/sso/saml/metadata", Endpoint::SamlMetadata),
    (Method::POST, "/sso/saml/acs", Endpoint::SamlAcs),
    (Method::GET, "/admin/sso/providers", Endpoint::SsoProviderList),
    (Method::POST, "/admin/sso/providers", Endpoint::SsoProviderCreate),
    (Method::GET, "/admin/sso/providers/:id", Endpoint::SsoProviderGet),
    (Method::PUT, "/admin/sso/providers/:id", Endpoint::SsoProviderUpdate),
    (Method::DELETE, "/admin/sso/providers/:id", Endpoint::SsoProviderDelete),
    (Method::POST, "/oauth/clients/register", Endpoint::OAuthClientRegister),
    (Method::POST, "/oauth/token", Endpoint::OAuthToken),
    (Method::GET, "/oauth/authorize", Endpoint::OAuthAuthorize),
    (Method::GET, "/oauth/authorizations/:id", Endpoint::OAuthAuthorization),
    (Method::POST, "/oauth/authorizations/:id/consent", Endpoint::OAuthConsent),
    (Method::GET, "/oauth/userinfo", Endpoint::OAuthUserInfo),
    (Method::GET, "/user/oauth/grants", Endpoint::OAuthGrantList),
    (Method::DELETE, "/user/oauth/grants", Endpoint::OAuthGrantRevoke),
    (Method::GET, "/.well-known/oauth-authorization-server", Endpoint::OAuthDiscovery),
    (Method::GET, "/admin/oauth/clients", Endpoint::OAuthClientList),
    (Method::POST, "/admin/oauth/clients", Endpoint::OAuthClientCreate),
    (Method::GET, "/admin/oauth/clients/:id", Endpoint::OAuthClientGet),
    (Method::PUT, "/admin/oauth/clients/:id", Endpoint::OAuthClientUpdate),
    (Method::DELETE, "/admin/oauth/clients/:id", Endpoint::OAuthClientDelete),
    (Method::POST, "/admin/oauth/clients/:id/regenerate_secret", Endpoint::OAuthClientSecret),
    (Method::GET, "/admin/custom-providers", Endpoint::CustomProviderList),
    (Method::POST, "/admin/custom-providers", Endpoint::CustomProviderCreate),
    (Method::GET, "/admin/custom-providers/:identifier", Endpoint::CustomProviderGet),
    (Method::PUT, "/admin/custom-providers/:identifier", Endpoint::CustomProviderUpdate),
    (Method::DELETE, "/admin/custom-providers/:identifier", Endpoint::CustomProviderDelete),
];

/// The endpoint for a method and path, with or without a trailing slash; else 404 or 405.
pub(crate) fn find(method: &Method, path: &str) -> Result<Endpoint, StatusCode> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut known = false;
    for (allowed, pattern, endpoint) in ROUTES {
        if fits(pattern, path) {
            if allowed == method {
                return Ok(*endpoint);
            }
            known = true;
        }
    }
    Err(if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND })
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(w), Some(g)) if w == g || (w.starts_with(':') && !g.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Whether programs would like to use the endpoint.
fn wants_captcha(endpoint: Endpoint, call: &Call) -> bool {
    match endpoint {
        Endpoint::Signup
        | Endpoint::Recover
        | Endpoint::Resend
        | Endpoint::MagicLink
        | Endpoint::Otp
        | Endpoint::Sso
        | Endpoint::PasskeyAuthenticationOptions => true,
        Endpoint::Token => matches!(&*call.form("grant_type"), "password" | "web3"),
        _ => false,
    }
}

/// Who signs up: nobody in particular where both are missing.
#[derive(serde::Deserialize)]
struct Newcomer {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
}

/// What a request is counted under before anything is done for it, such as asking somebody about a captcha. The other
/// endpoints count once they know who is calling.
fn bucket(auth: &Auth, endpoint: Endpoint, call: &Call) -> Outcome<Option<Bucket>> {
    Ok(Some(match endpoint {
        Endpoint::Signup => {
            let newcomer: Newcomer = call.json()?;
            let is_given = |field: Option<String>| field.is_some_and(|text| !text.is_empty());
            let is_named = is_given(newcomer.email) || is_given(newcomer.phone);
            if is_named { Bucket::Signup } else { Bucket::Anonymous }
        }
        Endpoint::Recover => Bucket::Recover,
        Endpoint::Resend => Bucket::Resend,
        Endpoint::MagicLink => Bucket::MagicLink,
        Endpoint::Otp => Bucket::Otp,
        Endpoint::VerifyGet | Endpoint::VerifyPost => Bucket::Verify,
        Endpoint::Token => match &*call.form("grant_type") {
            "password" | "refresh_token" | "pkce" | "id_token" => Bucket::Token,
            "web3" => Bucket::Web3,
            _ => return Ok(None),
        },
        Endpoint::OAuthToken => Bucket::Token,
        Endpoint::Sso => auth.service_provider().map(|_| Bucket::Sso)?,
        Endpoint::SamlAcs => auth.service_provider().map(|_| Bucket::SamlAssertion)?,
        Endpoint::PasskeyAuthenticationOptions => {
            passkeys::check_enabled(auth)?;
            Bucket::Passkey
        }
        _ => return Ok(None),
    }))
}

/// Answers a request.
pub(crate) async fn run(auth: &Auth, endpoint: Endpoint, call: &Call) -> Outcome<Response<Body>> {
    if let Some(bucket) = bucket(auth, endpoint, call)? {
        auth.limits.count(bucket, &auth.settings, call)?;
    }
    if wants_captcha(endpoint, call) {
        captcha::check(auth, call).await?;
    }
    match endpoint {
        Endpoint::Health => Ok(settings::health()),
        Endpoint::Settings => Ok(settings::settings(auth)),
        Endpoint::Jwks => Ok(keys::jwks(auth)),
        Endpoint::Discovery => Ok(keys::discovery(auth)),
        Endpoint::Signup => signup::run(auth, call).await,
        Endpoint::Token => token(auth, call).await,
        Endpoint::UserGet => user::run(auth, call).await,
        Endpoint::UserUpdate => user_update::run(auth, call).await,
        Endpoint::Logout => logout::run(auth, call).await,
        Endpoint::Recover => recover::run(auth, call).await,
        Endpoint::Otp => otp::otp(auth, call).await,
        Endpoint::MagicLink => otp::magic_link(auth, call).await,
        Endpoint::Resend => resend::run(auth, call).await,
        Endpoint::VerifyGet => verify::get(auth, call).await,
        Endpoint::VerifyPost => verify::post(auth, call).await,
        Endpoint::Reauthenticate => reauthenticate::run(auth, call).await,
        Endpoint::Invite => invite::run(auth, call).await,
        Endpoint::AdminAudit => admin_audit::run(auth, call).await,
        Endpoint::AdminMail => admin_mail::run(auth, call).await,
        Endpoint::AdminUserList => admin_users::list(auth, call).await,
        Endpoint::AdminUserCreate => admin_users::create(auth, call).await,
        Endpoint::AdminUserGet => admin_users::get(auth, call).await,
        Endpoint::AdminUserUpdate => admin_user_update::run(auth, call).await,
        Endpoint::AdminUserDelete => admin_user_delete::run(auth, call).await,
        Endpoint::AdminFactorList => admin_factors::list(auth, call).await,
        Endpoint::AdminFactorUpdate => admin_factors::update(auth, call).await,
        Endpoint::AdminFactorDelete => admin_factors::delete(auth, call).await,
        Endpoint::GenerateLink => generate_link::run(auth, call).await,
        Endpoint::FactorEnroll => factors::enroll(auth, call).await,
        Endpoint::FactorDelete => factors::unenroll(auth, call).await,
        Endpoint::FactorChallenge => factor_verify::challenge(auth, call).await,
        Endpoint::FactorVerify => factor_verify::verify(auth, call).await,
        Endpoint::IdentityDelete => identities::delete(auth, call).await,
        Endpoint::IdentityLink => authorize::link(auth, call).await,
        Endpoint::Authorize => authorize::run(auth, call).await,
        Endpoint::Callback => callback::run(auth, call).await,
        Endpoint::PasskeyList => passkeys::list(auth, call).await,
        Endpoint::PasskeyRename => passkeys::rename(auth, call).await,
        Endpoint::PasskeyDelete => passkeys::delete(auth, call).await,
        Endpoint::PasskeyRegistrationOptions => passkeys::registration_options(auth, call).await,
        Endpoint::PasskeyRegistrationVerify => passkeys::registration_verify(auth, call).await,
        Endpoint::PasskeyAuthenticationOptions => passkey_sign_in::options(auth, call).await,
        Endpoint::PasskeyAuthenticationVerify => passkey_sign_in::verify(auth, call).await,
        Endpoint::AdminPasskeyList => passkeys::admin_list(auth, call).await,
        Endpoint::AdminPasskeyDelete => passkeys::admin_delete(auth, call).await,
        Endpoint::Sso => sso::start(auth, call).await,
        Endpoint::SamlMetadata => sso::metadata(auth, call),
        Endpoint::SamlAcs => saml_acs::run(auth, call).await,
        Endpoint::SsoProviderList => admin_sso::list(auth, call).await,
        Endpoint::SsoProviderCreate => admin_sso::create(auth, call).await,
        Endpoint::SsoProviderGet => admin_sso::get(auth, call).await,
        Endpoint::SsoProviderUpdate => admin_sso::update(auth, call).await,
        Endpoint::SsoProviderDelete => admin_sso::delete(auth, call).await,
        Endpoint::OAuthClientList => oauth_clients::list(auth, call).await,
        Endpoint::OAuthClientCreate => oauth_clients::create(auth, call).await,
        Endpoint::OAuthClientGet => oauth_clients::get(auth, call).await,
        Endpoint::OAuthClientUpdate => oauth_clients::update(auth, call).await,
        Endpoint::OAuthClientDelete => oauth_clients::delete(auth, call).await,
        Endpoint::OAuthClientSecret => oauth_clients::regenerate_secret(auth, call).await,
        Endpoint::OAuthClientRegister => oauth_clients::register(auth, call).await,
        Endpoint::OAuthAuthorize => oauth_authorize::run(auth, call).await,
        Endpoint::OAuthAuthorization => oauth_consent::get(auth, call).await,
        Endpoint::OAuthConsent => oauth_consent::answer(auth, call).await,
        Endpoint::OAuthToken => oauth_token::run(auth, call).await,
        Endpoint::OAuthUserInfo => oauth_grants::user_info(auth, call).await,
        Endpoint::OAuthGrantList => oauth_grants::list(auth, call).await,
        Endpoint::OAuthGrantRevoke => oauth_grants::revoke(auth, call).await,
        Endpoint::OAuthDiscovery => {
            oauth_clients::check_enabled(auth)?;
            Ok(keys::discovery(auth))
        }
        Endpoint::CustomProviderList => custom_providers::list(auth, call).await,
        Endpoint::CustomProviderCreate => custom_providers::create(auth, call).await,
        Endpoint::CustomProviderGet => custom_providers::get(auth, call).await,
        Endpoint::CustomProviderUpdate => custom_providers::update(auth, call).await,
        Endpoint::CustomProviderDelete => custom_providers::delete(auth, call).await,
    }
}

/// `POST /token`: by the kind of grant.
async fn token(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    match &*call.form("grant_type") {
        "password" => password_grant::run(auth, call).await,
        "refresh_token" => refresh_grant::run(auth, call).await,
        "id_token" => id_token_grant::run(auth, call).await,
        "web3" => web3_grant::run(auth, call).await,
        "pkce" => pkce_grant::run(auth, call).await,
        _ => Err(refuse(400, "invalid_credentials", "unsupported_grant_type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_with_and_without_a_trailing_slash() {
        assert_eq!(find(&Method::POST, "/signup"), Ok(Endpoint::Signup));
        assert_eq!(find(&Method::POST, "/signup/"), Ok(Endpoint::Signup));
        assert_eq!(find(&Method::DELETE, "/admin/users/x"), Ok(Endpoint::AdminUserDelete));
        assert_eq!(find(&Method::GET, "/nowhere"), Err(StatusCode::NOT_FOUND));
        assert_eq!(find(&Method::GET, "/admin/users//"), Err(StatusCode::NOT_FOUND));
        assert_eq!(find(&Method::HEAD, "/verify"), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(find(&Method::GET, "/"), Err(StatusCode::NOT_FOUND));
    }
}
