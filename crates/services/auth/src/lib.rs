//! Supabase Auth on the wire, for one project: who the users are, how they sign in, and the tokens they get.
//!
//! [`Auth`] is made per project and cheap: a pool, settings and a few counters. A request goes through
//! `routes/` (parse, authorise, call, shape), which asks `flow/` what to do (pure) and has `store/` do it, in
//! one or two round trips. A message is a row in an outbox, written in the same transaction as the
//! change that needs it, and sent after that by [`Auth::deliver`].
//!
//! Behaviour, messages and codes are those of the reference server, which the tests of the public clients
//! match; where we differ on purpose, a comment says so.

mod call;
mod captcha;
mod deliver;
mod external;
mod flow;
mod foreign_hash;
mod guard;
mod handover;
mod hasher;
mod hook;
mod issue;
mod letters;
mod limits;
mod message;
mod moment;
mod notice;
mod provider;
mod refusal;
mod reply;
mod routes;
mod saml_service;
pub mod schema;
mod settings;
mod sms;
mod store;
mod strength;
pub mod transfer;

pub use hook::{HookTrial, TrialError};
pub use limits::Counters;
pub use saml_service::{new_saml_key, saml_key_fault};
pub use settings::{
    Bell, CaptchaProvider, CaptchaSettings, CustomProviderSettings, ExternalSettings, Hook, HookError,
    HookFunction, HookPace, HookSettings, LetterText, MailSettings, MfaSettings, Notification,
    OAuthServerSettings, ProtectionSettings, ProviderSettings, PwnedSettings, RateLimits,
    RefreshTokenSettings, SamlSettings, SealingKey, SessionSettings, Settings, SmsAccount, SmsGateway,
    SmsSettings, WalletSettings, Web3Settings, WebAuthnSettings,
};

use axum::body::Body;
use http::{Request, Response};
use model::Clock;
use moment::Moment;
use refusal::{Outcome, refuse};
use std::sync::Arc;

/// The auth service of one project.
#[derive(Debug)]
pub struct Auth {
    pub(crate) settings: Settings,
    pub(crate) db: store::db::Db,
    pub(crate) limits: limits::Limits,
    pub(crate) hasher: hasher::Hasher,
    /// Issuers of ID tokens that were met.
    pub(crate) issuers: provider::oidc::Issuers,
    pub(crate) saml: saml_service::SamlService,
    /// Asks about captcha tokens, which anybody can make up: hooks and providers have turns of their own.
    captchas: outbound::Client,
    clock: Arc<dyn Clock>,
}

impl Auth {
    /// A service with these settings on this database. The pool's login role must be `supabase_auth_admin` or
    /// able to become it.
    pub fn new(settings: Settings, pool: pg::Pool, clock: Arc<dyn Clock>) -> Auth {
        let db = store::db::Db::new(pool, &settings.extra_settings);
        let limits = limits::Limits::new(&settings.rate_limits, Arc::default());
        let outbound = &settings.outbound;
        let captchas =
            if settings.protection.captcha.is_some() { outbound.share() } else { outbound.clone() };
        Auth {
            settings,
            db,
            limits,
            hasher: hasher::Hasher::new(),
            issuers: provider::oidc::Issuers::new(),
            saml: saml_service::SamlService::default(),
            captchas,
            clock,
        }
    }

    /// The same service counting on from what was counted before it.
    #[must_use]
    pub fn with_counters(mut self, counters: Arc<Counters>) -> Auth {
        self.limits = limits::Limits::new(&self.settings.rate_limits, counters);
        self
    }

    /// Answers a request whose path has no prefix of the gateway any more: `/signup`.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let headers = request.headers().clone();
        let now = Moment::from_system(self.clock.now());
        let answer = tokio::time::timeout(self.settings.request_timeout, Box::pin(self.answer(request, now)));
        let refusal = match answer.await {
            Ok(Ok(response)) => return response,
            Ok(Err(refusal)) => refusal,
            Err(_) => refuse(
                504,
                "request_timeout",
                "Processing this request timed out, please retry after a moment.",
            ),
        };
        if let Some(cause) = refusal.fault.cause() {
            tracing::error!(status = refusal.fault.status.as_u16(), message = %refusal.fault.message, %cause, "auth request failed");
        } else {
            tracing::debug!(fault = %refusal.fault, "auth request refused");
        }
        reply::refusal(&refusal, &headers)
    }

    async fn answer(&self, request: Request<Body>, now: Moment) -> Outcome<Response<Body>> {
        let endpoint = match routes::find(request.method(), request.uri().path()) {
            Ok(found) => found,
            Err(status) => return Ok(reply::unrouted(status)),
        };
        let call = call::Call::read(request, &self.settings, now).await?;
        routes::run(self, endpoint, &call).await
    }
}

impl Auth {
    /// Says that the outbox may have something to send.
    pub(crate) fn ring(&self) {
        if let Some(bell) = &self.settings.mail.bell {
            bell.ring(std::time::Duration::ZERO);
        }
    }

    /// The entry that the audit log gets for an action; nothing when it is switched off.
    pub(crate) fn audit(
        &self,
        actor: &store::audit::Actor,
        action: &'static str,
        traits: Option<serde_json::Value>,
        call: &call::Call,
    ) -> Vec<store::db::Step> {
        let entry = || store::audit::insert(actor, action, traits, &call.ip_text(), call.now);
        if self.settings.audit_log { vec![entry()] } else { Vec::new() }
    }
}
