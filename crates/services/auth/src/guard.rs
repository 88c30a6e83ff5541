//! Who is calling: the levels of authentication that routes ask for.

use crate::Auth;
use crate::call::Call;
use crate::refusal::{Outcome, database, refuse};
use crate::settings::Settings;
use crate::store::audit::Actor;
use crate::store::db::first;
use crate::store::records::{Session, User};
use crate::store::{sessions, users};
use serde_json::{Map, Value};
use token::ClaimError;
use uuid::Uuid;

type Claims = Map<String, Value>;

/// A user with a valid token.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) claims: Claims,
    pub(crate) user: User,
    /// Nothing for tokens that belong to no session.
    pub(crate) session: Option<Session>,
    pub(crate) audience: String,
}

/// Somebody with an administrative role.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) actor: Actor,
    pub(crate) audience: String,
}

/// Requires a user's token.
pub(crate) async fn user(auth: &Auth, call: &Call) -> Outcome<Signed> {
    let claims = claims(auth, call)?;
    let subject = text(&claims, "sub");
    if subject.is_empty() {
        return Err(refuse(403, "bad_jwt", "invalid claim: missing sub claim"));
    }
    let id = Uuid::parse_str(subject)
        .map_err(|_| refuse(400, "bad_jwt", "invalid claim: sub claim must be a UUID"))?;
    // The session claim is looked at after the user row; a claim that is no UUID must not hide a user who is gone.
    let session_claim = text(&claims, "session_id");
    let session_id = Uuid::parse_str(session_claim).ok();
    let mut steps = vec![users::by_id(id)];
    steps.extend(session_id.map(sessions::by_id));
    let results = auth.db.run(steps).await.map_err(database("Database error loading user"))?;
    let (user, session) = read(&results).map_err(database("Database error loading user"))?;
    let user =
        user.ok_or_else(|| refuse(403, "user_not_found", "User from sub claim in JWT does not exist"))?;
    let session = match session_id {
        _ if session_claim.is_empty() || session_id == Some(Uuid::nil()) => None,
        None => return Err(refuse(403, "bad_jwt", "invalid claim: session_id claim must be a UUID")),
        Some(_) => Some(session.filter(|session| session.user_id == user.id).ok_or_else(no_session)?),
    };
    if user.is_banned(call.now) {
        return Err(refuse(403, "user_banned", "User is banned"));
    }
    let audience = audience(&auth.settings, call, Some(&claims));
    Ok(Signed { claims, user, session, audience })
}

/// The session of the token has ended.
pub(crate) fn no_session() -> crate::refusal::Refusal {
    refuse(403, "session_not_found", "Session from session_id claim in JWT does not exist")
}

fn read(results: &[pg::Rows]) -> Result<(Option<User>, Option<Session>), pg::Error> {
    let user = results.first().map(first).transpose()?.flatten();
    let session = results.get(1).map(first).transpose()?.flatten();
    Ok((user, session))
}

/// Requires a token, or a secret key, of an administrative role.
pub(crate) async fn admin(auth: &Auth, call: &Call) -> Outcome<Admin> {
    let claims = claims(auth, call)?;
    let role = text(&claims, "role");
    if !auth.settings.jwt_admin_roles.iter().any(|known| known == role) {
        return Err(refuse(403, "not_admin", "User not allowed"));
    }
    let session = text(&claims, "session_id");
    if !session.is_empty() {
        let id = Uuid::parse_str(session)
            .map_err(|_| refuse(403, "bad_jwt", "invalid claim: session_id claim must be a UUID"))?;
        require_live_session(auth, call, id).await?;
    }
    Ok(Admin { actor: Actor::admin(role), audience: audience(&auth.settings, call, Some(&claims)) })
}

async fn require_live_session(auth: &Auth, call: &Call, id: Uuid) -> Outcome<()> {
    let rows = auth.db.one(sessions::by_id(id)).await.map_err(database("Database error loading session"))?;
    let session: Option<Session> = first(&rows).map_err(database("Database error loading session"))?;
    let session = session.ok_or_else(no_session)?;
    use crate::flow::session::{Assurance, validity};
    validity(&auth.settings.sessions, &session, None, Assurance::Aal1, call.now)
        .map_err(|_| refuse(403, "session_expired", "Session expired"))
}

/// The claims of the caller: those the gateway found behind a secret key, or those of the bearer token.
fn claims(auth: &Auth, call: &Call) -> Outcome<Claims> {
    let admin_roles = &auth.settings.jwt_admin_roles;
    if let Some(caller) = call.caller.as_ref().filter(|c| admin_roles.iter().any(|role| **role == *c.role)) {
        let mut claims: Claims = serde_json::from_str(&caller.claims).unwrap_or_default();
        claims.insert("role".to_owned(), Value::from(&*caller.role));
        return Ok(claims);
    }
    let token = token::bearer(call.header("authorization"))
        .ok_or_else(|| refuse(401, "no_authorization", "This endpoint requires a valid Bearer token"))?;
    let bad = |why: String| {
        refuse(403, "bad_jwt", format!("invalid JWT: unable to parse or verify signature, {why}"))
    };
    let verified = auth.settings.keys.verify(token).map_err(|e| bad(e.to_string()))?;
    match token::check_times(&verified.claims, call.now.unix().unsigned_abs(), 0) {
        // Other issuers' clocks may be ahead of ours; only the end of a token matters.
        Ok(()) | Err(ClaimError::IssuedInFuture) => Ok(verified.claims),
        Err(e) => Err(bad(format!("token has invalid claims: {e}"))),
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The first audience of a token.
pub(crate) fn token_audience(claims: &Claims) -> &str {
    match claims.get("aud") {
        Some(Value::String(audience)) => audience,
        Some(Value::Array(list)) => list.first().and_then(Value::as_str).unwrap_or_default(),
        _ => "",
    }
}

/// The audience that a request is for.
pub(crate) fn audience(settings: &Settings, call: &Call, claims: Option<&Claims>) -> String {
    let header = call.header("x-jwt-aud");
    if !header.is_empty() {
        return header.to_owned();
    }
    // Keys of administrative roles never had an audience.
    let claims =
        claims.filter(|claims| !settings.jwt_admin_roles.iter().any(|role| role == text(claims, "role")));
    match claims.map(token_audience) {
        Some(audience) if !audience.is_empty() => audience.to_owned(),
        _ => settings.jwt_audience.clone(),
    }
}
