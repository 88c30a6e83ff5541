//! Sessions and the tokens that prove them.

use crate::Auth;
use crate::call::Call;
use crate::flow::password::Weakness;
use crate::flow::redirect::with_fragment;
use crate::flow::refresh::new_token;
use crate::flow::session::{Assurance, is_second_factor};
use crate::flow::signed_token::{self, SignedToken};
use crate::hook;
use crate::moment::Moment;
use crate::refusal::{Outcome, database, internal};
use crate::reply;
use crate::store::db::Step;
use crate::store::records::{Method, Session, User};
use crate::store::sessions::{Client, Device};
use crate::store::users::Patch;
use crate::store::{refresh_tokens, sessions, users};
use axum::body::Body;
use http::Response;
use model::Secret;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A session about to be written.
#[derive(Debug)]
pub(crate) struct NewSession {
    user: Uuid,
    id: Uuid,
    refresh_token: String,
    /// Of signed refresh tokens, in case the project has such.
    key: Secret,
    method: &'static str,
    client: Option<Client>,
    not_after: Option<Moment>,
}

impl NewSession {
    pub(crate) fn new(user: Uuid, method: &'static str) -> NewSession {
        let (refresh_token, key) = (new_token(), signed_token::new_key());
        NewSession { user, id: Uuid::new_v4(), refresh_token, key, method, client: None, not_after: None }
    }

    /// The session ends then, whatever its user does.
    pub(crate) fn until(self, not_after: Option<Moment>) -> NewSession {
        NewSession { not_after, ..self }
    }

    /// The session of an application.
    pub(crate) fn of_client(user: Uuid, method: &'static str, client: Client) -> NewSession {
        NewSession { client: Some(client), ..NewSession::new(user, method) }
    }

    /// Writes the session, how it was authenticated and its first refresh token; the last step reads the user.
    pub(crate) fn steps(&self, call: &Call) -> Vec<Step> {
        let now = call.now;
        let key = call.signed_tokens.then_some(&self.key);
        let row = sessions::NewRow { id: self.id, user: self.user, client: self.client.as_ref(), key };
        let mut steps = vec![sessions::insert(&row, &device(call), now)];
        steps.extend(self.not_after.map(|end| sessions::end_at(self.id, end)));
        if key.is_none() {
            steps.push(refresh_tokens::insert(&self.refresh_token, self.user, self.id, None, now));
        }
        steps.push(sessions::add_method(self.id, self.method, now));
        steps.push(Patch::new().time("last_sign_in_at", Some(now)).on(self.user, now));
        steps.push(users::by_id(self.user));
        steps
    }

    /// The answer, after the steps have been committed.
    pub(crate) async fn grant(self, auth: &Auth, call: &Call, user: User) -> Outcome<Grant> {
        let session = Session {
            id: self.id,
            user_id: self.user,
            created_at: call.now,
            not_after: self.not_after,
            refreshed_at: None,
            aal: None,
            tag: None,
            oauth_client_id: self.client.as_ref().map(|client| client.id),
            scopes: self.client.map(|client| client.scopes),
            refresh_token_hmac_key: None,
            refresh_token_counter: None,
            amr: vec![Method { authentication_method: self.method.to_owned(), updated_at: call.now }],
        };
        let token = if call.signed_tokens {
            let token = signed_token::write(self.id, 0, &self.key);
            token
                .ok_or_else(|| internal("Database error granting user", "the session's key is not usable"))?
        } else {
            self.refresh_token
        };
        let granted = Grant::new(auth, call, user, &session, token, self.method).await;
        if granted.is_err() {
            // Nobody has its tokens.
            let gone = auth.db.one(sessions::delete(self.id, self.user)).await;
            gone.map_err(database("Database error ending session"))?;
        }
        granted
    }
}

/// Where a request comes from, for its session.
pub(crate) fn device(call: &Call) -> Device {
    Device { user_agent: call.user_agent().to_owned(), ip: call.ip }
}

/// The answer to every kind of sign-in.
#[derive(Debug, Serialize)]
pub(crate) struct Grant {
    pub(crate) access_token: String,
    token_type: &'static str,
    pub(crate) expires_in: i64,
    pub(crate) expires_at: i64,
    pub(crate) refresh_token: String,
    pub(crate) user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider_refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weak_password: Option<Value>,
    #[serde(skip)]
    session: Uuid,
}

impl Grant {
    /// `method` is how the token was come by, which only the hook is told.
    pub(crate) async fn new(
        auth: &Auth,
        call: &Call,
        user: User,
        session: &Session,
        refresh_token: String,
        method: &str,
    ) -> Outcome<Grant> {
        let (settings, now) = (&auth.settings, call.now);
        let sso_provider = sso_provider(&user);
        let amr = methods(session, sso_provider.as_deref());
        let level = if session.amr.iter().any(|m| is_second_factor(&m.authentication_method)) {
            Assurance::Aal2
        } else {
            Assurance::Aal1
        };
        let mut end = now.plus(settings.jwt_expiry);
        let low_limit = settings.sessions.allow_low_aal.filter(|limit| !limit.is_zero());
        if let Some(limit) = low_limit.filter(|_| level < user.possible_assurance()) {
            end = end.min(session.created_at.plus(limit));
        }
        let claims = AccessClaims {
            iss: &settings.jwt_issuer,
            sub: user.id,
            aud: user.aud.as_deref().unwrap_or_default(),
            exp: end.unix(),
            iat: now.unix(),
            email: user.email(),
            phone: user.phone(),
            app_metadata: user.app_metadata(),
            user_metadata: user.user_metadata(),
            role: user.role.as_deref().unwrap_or_default(),
            aal: level.as_str(),
            amr,
            session_id: session.id,
            is_anonymous: user.is_anonymous,
            client_id: session.oauth_client_id,
            scope: session.scopes.as_deref(),
        };
        let failed = "error generating jwt token";
        let signed = if settings.hooks.custom_access_token.is_some() {
            let claims = serde_json::to_value(&claims).map_err(|e| internal(failed, e))?;
            settings.keys.sign(&hook::claims(auth, call, user.id, claims, method).await?)
        } else {
            settings.keys.sign(&claims)
        };
        let access_token = signed.map_err(|e| internal(failed, e))?;
        Ok(Grant {
            access_token,
            token_type: "bearer",
            expires_in: end.unix() - now.unix(),
            expires_at: end.unix(),
            refresh_token,
            user,
            provider_token: None,
            provider_refresh_token: None,
            weak_password: None,
            session: session.id,
        })
    }

    /// Tells the client that the password, though right, is weak by now.
    pub(crate) fn warn(mut self, weakness: Option<Weakness>) -> Grant {
        // Nothing to warn of is `null`: an answer that had no password to look at leaves the field out.
        let found = weakness.map(|w| json!({ "message": w.message, "reasons": w.reasons }));
        self.weak_password = Some(found.unwrap_or(Value::Null));
        self
    }

    /// The answer with the headers that name user, session and token.
    pub(crate) fn respond(&self) -> Response<Body> {
        self.with_headers(reply::ok(self))
    }

    /// The answer to an application: the tokens only.
    pub(crate) fn respond_to_client(&self, id_token: Option<String>) -> Response<Body> {
        let mut body = json!({
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "refresh_token": self.refresh_token,
        });
        if let Some(id_token) = id_token {
            body["id_token"] = Value::from(id_token);
        }
        let mut response = self.with_headers(reply::ok(&body));
        reply::set(&mut response, "cache-control", "no-store");
        response
    }

    /// Where a redirect to a page ends: the session in the fragment, with what else the page is told.
    pub(crate) fn redirect(&self, target: &str, more: &[(&str, &str)]) -> String {
        let (expires_in, expires_at) = (self.expires_in.to_string(), self.expires_at.to_string());
        let mut pairs = vec![
            ("access_token", self.access_token.as_str()),
            ("token_type", "bearer"),
            ("expires_in", &expires_in),
            ("expires_at", &expires_at),
            ("refresh_token", &self.refresh_token),
            ("sb", ""),
        ];
        pairs.extend_from_slice(more);
        with_fragment(target, &pairs)
    }

    /// Names user, session and token in the headers of an answer.
    pub(crate) fn with_headers(&self, mut response: Response<Body>) -> Response<Body> {
        reply::set(&mut response, "sb-auth-user-id", &self.user.id.to_string());
        reply::set(&mut response, "sb-auth-session-id", &self.session.to_string());
        match SignedToken::parse(&self.refresh_token) {
            Some(token) => {
                reply::set(&mut response, "sb-auth-refresh-token-counter", &token.counter.to_string());
            }
            None => {
                let prefix = self.refresh_token.get(..5).unwrap_or_default();
                reply::set(&mut response, "sb-auth-refresh-token-prefix", prefix);
            }
        }
        response
    }
}

/// The claims of an access token, in their order.
#[derive(Serialize)]
struct AccessClaims<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    exp: i64,
    iat: i64,
    email: &'a str,
    phone: &'a str,
    app_metadata: Map<String, Value>,
    user_metadata: Map<String, Value>,
    role: &'a str,
    aal: &'static str,
    amr: Vec<AmrEntry<'a>>,
    session_id: Uuid,
    is_anonymous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

#[derive(Serialize)]
struct AmrEntry<'a> {
    method: &'a str,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
}

/// How the session was authenticated, the latest first.
fn methods<'a>(session: &'a Session, sso_provider: Option<&'a str>) -> Vec<AmrEntry<'a>> {
    let mut known: Vec<_> = session.amr.iter().collect();
    // Two of one second have their order too.
    known.sort_by_key(|m| std::cmp::Reverse(m.updated_at));
    let entry = |m: &'a Method| AmrEntry {
        method: &m.authentication_method,
        timestamp: m.updated_at.unix(),
        provider: sso_provider.filter(|_| m.authentication_method == "sso/saml"),
    };
    known.into_iter().map(entry).collect()
}

/// The id of the user's provider of single sign-on.
fn sso_provider(user: &User) -> Option<String> {
    user.identities().iter().find_map(|identity| identity.provider.strip_prefix("sso:").map(str::to_owned))
}
