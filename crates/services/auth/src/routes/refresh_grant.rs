//! `POST /token?grant_type=refresh_token`: the rows are locked and read in one round trip, the decision is
//! written in a second.

use crate::Auth;
use crate::call::Call;
use crate::flow::refresh::{self, State, Step as Decision};
use crate::flow::session::Expired;
use crate::flow::signed_token::{self, SignedToken};
use crate::issue::{Grant, device};
use crate::refusal::{Outcome, Refusal, database, internal, invalid, oauth, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::{Step, Unit, all, first, last};
use crate::store::records::{RefreshToken, Session, User};
use crate::store::users::{self, Patch};
use crate::store::{cleanup, refresh_tokens, sessions};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a request waits for others that use the same session.
const WAIT_MAX: Duration = Duration::from_secs(5);

pub(super) const FAILED: &str = "Database error granting user";

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    refresh_token: Option<String>,
}

/// What the first round trip found.
enum Found {
    /// Everything, locked.
    Rows(Box<Rows>),
    /// Somebody else holds the token or its session.
    Busy,
    Missing,
    /// The token is there but its session is gone.
    NoSession,
}

struct Rows {
    token: RefreshToken,
    session: Session,
    user: User,
    active: Option<RefreshToken>,
    sessions: Vec<Session>,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let refreshed = grant(auth, call, params.refresh_token.unwrap_or_default(), None).await?;
    let mut response = refreshed.grant.respond();
    refreshed.mark(&mut response);
    Ok(response)
}

/// New tokens for a session.
pub(super) struct Refreshed {
    pub(super) grant: Grant,
    /// Whether the token was used for the first time.
    pub(super) rotated: bool,
    /// Why it was good all the same, when it was not.
    pub(super) causes: String,
}

impl Refreshed {
    /// Notes in the headers that the token was used for the first time.
    pub(super) fn mark(&self, response: &mut Response<Body>) {
        if self.rotated {
            reply::set(response, "sb-auth-refresh-token-reuse", "false");
        }
        super::refresh_signed::mark_causes(response, &self.causes);
    }
}

/// Refreshes. The session must be that of the application that asks, or of none.
pub(super) async fn grant(
    auth: &Auth,
    call: &Call,
    token: String,
    client: Option<Uuid>,
) -> Outcome<Refreshed> {
    let signed = SignedToken::parse(&token);
    if signed.is_none() && !refresh::is_token(&token) {
        return Err(invalid("Refresh token is not valid"));
    }
    let deadline = Instant::now() + WAIT_MAX;
    while Instant::now() < deadline {
        let refreshed = match &signed {
            Some(signed) => super::refresh_signed::attempt(auth, call, signed, client).await?,
            None => attempt(auth, call, &token, client).await?,
        };
        if let Some(refreshed) = refreshed {
            return Ok(refreshed);
        }
        // The connection went back to the pool; the pause differs so that waiters do not march in step.
        let [random] = token::random_bytes::<1>();
        tokio::time::sleep(Duration::from_millis(10 + u64::from(random) % 20)).await;
    }
    let message = "Too many concurrent token refresh requests on the same session or refresh token";
    Err(refuse(409, "conflict", message))
}

/// Refreshes, or says nothing when somebody else holds the token or its session.
async fn attempt(auth: &Auth, call: &Call, token: &str, client: Option<Uuid>) -> Outcome<Option<Refreshed>> {
    let (unit, found) = lock(auth, token).await?;
    match found {
        Found::Rows(rows) => refresh(auth, call, unit, *rows, client).await.map(Some),
        Found::Busy => {
            unit.rollback().await.map_err(database(FAILED))?;
            Ok(None)
        }
        Found::Missing => {
            unit.rollback().await.map_err(database(FAILED))?;
            let message = "Invalid Refresh Token: Refresh Token Not Found";
            Err(refuse(400, "refresh_token_not_found", message))
        }
        Found::NoSession => {
            unit.commit(vec![refresh_tokens::delete(token)]).await.map_err(database(FAILED))?;
            let message = "Invalid Refresh Token: No Valid Session Found";
            Err(refuse(400, "session_not_found", message))
        }
    }
}

async fn lock(auth: &Auth, token: &str) -> Outcome<(Unit, Found)> {
    let mut steps = vec![
        refresh_tokens::lock(token),
        sessions::lock_of_token(token),
        refresh_tokens::exists(token),
        refresh_tokens::active(token),
        users::by_refresh_token(token),
    ];
    if auth.settings.sessions.single_per_user {
        steps.push(sessions::of_token_user(token));
    }
    let (unit, results) = auth.db.begin(steps).await.map_err(database(FAILED))?;
    let found = read(&results).map_err(database(FAILED))?;
    Ok((unit, found))
}

fn read(results: &[pg::Rows]) -> Result<Found, pg::Error> {
    let [token, session, exists, active, user, rest @ ..] = results else {
        return Err(pg::Error::Decode("fewer results than statements".to_owned()));
    };
    let exists = exists.one()?;
    let (tokens, known_sessions): (i64, i64) = (exists.get(0)?, exists.get(1)?);
    let (token, session) = (first(token)?, first(session)?);
    Ok(match (token, session, first(user)?) {
        (Some(token), Some(session), Some(user)) => {
            let sessions = rest.first().map(all).transpose()?.unwrap_or_default();
            Found::Rows(Box::new(Rows { token, session, user, active: first(active)?, sessions }))
        }
        _ if tokens == 0 => Found::Missing,
        (Some(_), _, _) if known_sessions == 0 => Found::NoSession,
        _ => Found::Busy,
    })
}

async fn refresh(
    auth: &Auth,
    call: &Call,
    unit: Unit,
    rows: Rows,
    client: Option<Uuid>,
) -> Outcome<Refreshed> {
    let issued = match decide(auth, call, &rows, client) {
        Ok(issued) => issued,
        Err((refusal, revoke_family)) => {
            let session = rows.session.id;
            if revoke_family {
                // Revoking must last although the request fails.
                let mut steps = vec![refresh_tokens::revoke_family(session, call.now)];
                // Signed tokens are no rows; they end with their session.
                if rows.session.refresh_token_counter.is_some() {
                    steps.push(sessions::delete(session, rows.user.id));
                }
                unit.commit(steps).await.map_err(database(FAILED))?;
            } else {
                unit.rollback().await.map_err(database(FAILED))?;
            }
            return Err(with_ids(refusal, rows.user.id, session));
        }
    };
    let rotated = issued.is_none();
    let (next, steps) = match issued {
        None if refresh::is_upgraded(&auth.settings.refresh_tokens, rows.session.id) => {
            upgrade(auth, call, &rows)?
        }
        issued => {
            let next = issued.unwrap_or_else(refresh::new_token);
            let steps = write(auth, call, &rows, rotated.then_some(next.as_str()));
            (next, steps)
        }
    };
    let results = unit.commit(steps).await.map_err(database(FAILED))?;
    let user: User = last(&results).map_err(database(FAILED))?;
    clean_up(auth, call).await;
    let grant = Grant::new(auth, call, user, &rows.session, next, "token_refresh").await?;
    Ok(Refreshed { grant, rotated, causes: String::new() })
}

/// Now and then takes away old rows. That it fails is no reason to fail the request.
pub(super) async fn clean_up(auth: &Auth, call: &Call) {
    let [random] = token::random_bytes::<1>();
    if random.checked_rem(auth.settings.cleanup_every) != Some(0) {
        return;
    }
    if let Err(error) = auth.db.run(cleanup::steps(call.now)).await {
        tracing::warn!(%error, "old rows could not be taken away");
    }
}

/// The token to hand out again, or nothing for a new one; else the refusal and whether it ends the family.
fn decide(
    auth: &Auth,
    call: &Call,
    rows: &Rows,
    client: Option<Uuid>,
) -> Result<Option<String>, (Refusal, bool)> {
    let Rows { token, session, user, active, sessions } = rows;
    check_caller(call, user, session, client).map_err(|refusal| (refusal, false))?;
    let possible = user.possible_assurance();
    let state = State { token, session, active: active.as_ref(), sessions, possible };
    match refresh::decide(&auth.settings, &state, call.now) {
        Decision::Rotate => Ok(None),
        Decision::Repeat(active) => Ok(Some(active)),
        Decision::RepeatSigned => {
            let key = session.refresh_token_hmac_key.as_ref().zip(session.refresh_token_counter);
            let current = key.and_then(|(key, counter)| signed_token::write(session.id, counter, key));
            current.map(Some).ok_or_else(|| (internal(FAILED, "the session's key is not usable"), false))
        }
        Decision::Expired(expired) => Err((self::expired(expired), false)),
        Decision::Reused { revoke_family } => {
            let replaced = token.updated_at.map(|replaced| call.now.seconds_since(replaced));
            reused(auth, call, session, user, Reuse { is_ended: revoke_family, replaced, behind: None });
            let message = "Invalid Refresh Token: Already Used";
            Err((refuse(400, "refresh_token_already_used", message), revoke_family))
        }
    }
}

/// Refuses those who may not refresh this session at all.
pub(super) fn check_caller(
    call: &Call,
    user: &User,
    session: &Session,
    client: Option<Uuid>,
) -> Result<(), Refusal> {
    if user.is_banned(call.now) {
        return Err(refuse(400, "user_banned", "Invalid Refresh Token: User Banned"));
    }
    if session.oauth_client_id != client {
        let message = match (session.oauth_client_id, client) {
            (_, None) => "Client authentication required for OAuth session",
            (Some(_), _) => "Client does not match the session's OAuth client",
            (None, _) => "Client authentication not allowed for non-OAuth session",
        };
        return Err(oauth("invalid_client", message));
    }
    Ok(())
}

pub(super) fn expired(reason: Expired) -> Refusal {
    refuse(400, "session_expired", reason.message())
}

/// How a token was used again.
pub(super) struct Reuse {
    /// Whether nobody can refresh the session any more.
    pub(super) is_ended: bool,
    /// How many seconds before the token had been replaced, of a stored token.
    pub(super) replaced: Option<i64>,
    /// How many tokens have been handed out since, of a signed one.
    pub(super) behind: Option<i64>,
}

/// Explains to the project's owner why somebody is signed out.
pub(super) fn reused(auth: &Auth, call: &Call, session: &Session, user: &User, reuse: Reuse) {
    let refreshed = session.refreshed_at.map(|at| call.now.seconds_since(at));
    tracing::warn!(
        session = %session.id,
        user = %user.id,
        replaced_seconds_ago = reuse.replaced,
        tokens_behind = reuse.behind,
        session_refreshed_seconds_ago = refreshed,
        reuse_interval_s = auth.settings.refresh_token_reuse_interval.as_secs(),
        ended = reuse.is_ended,
        ip = %call.ip_text(),
        user_agent = call.user_agent(),
        "a refresh token was used again that had been replaced more than the reuse interval ago: a stolen token, or \
         a client that keeps an old one (a second tab, a server that renders, a restored backup)"
    );
}

/// Moves the session over to signed tokens; the last step reads the user.
fn upgrade(auth: &Auth, call: &Call, rows: &Rows) -> Outcome<(String, Vec<Step>)> {
    let Rows { token, session, user, .. } = rows;
    let known = session.refresh_token_hmac_key.clone().zip(session.refresh_token_counter);
    let (key, counter) = match known {
        Some((key, counter)) => (key, counter.saturating_add(1)),
        None => (signed_token::new_key(), 0),
    };
    let next = signed_token::write(session.id, counter, &key)
        .ok_or_else(|| internal(FAILED, "the session's key is not usable"))?;
    let (now, actor) = (call.now, Actor::user(user));
    let mut steps = auth.audit(&actor, "token_refreshed", None, call);
    steps.extend(auth.audit(&actor, "token_revoked", None, call));
    steps.push(refresh_tokens::revoke(&token.token, now));
    steps.push(sessions::set_key(session.id, &key, counter));
    steps.push(Patch::new().time("last_sign_in_at", Some(now)).on(user.id, now));
    steps.push(sessions::touch(session.id, &device(call), now));
    steps.push(users::by_id(user.id));
    Ok((next, steps))
}

/// What a successful refresh writes; the last step reads the user.
fn write(auth: &Auth, call: &Call, rows: &Rows, next: Option<&str>) -> Vec<Step> {
    let Rows { token, session, user, .. } = rows;
    let now = call.now;
    let actor = Actor::user(user);
    let mut steps = auth.audit(&actor, "token_refreshed", None, call);
    if let Some(next) = next {
        steps.extend(auth.audit(&actor, "token_revoked", None, call));
        steps.push(refresh_tokens::revoke(&token.token, now));
        steps.push(refresh_tokens::insert(next, user.id, session.id, Some(&token.token), now));
        steps.push(Patch::new().time("last_sign_in_at", Some(now)).on(user.id, now));
    }
    steps.push(sessions::touch(session.id, &device(call), now));
    steps.push(users::by_id(user.id));
    steps
}

/// Names user and session in the headers of a refusal, as the answer to a success does.
pub(super) fn with_ids(mut refusal: Refusal, user: Uuid, session: Uuid) -> Refusal {
    // Of somebody banned the session is not looked at.
    let session = Some(session).filter(|_| refusal.fault.code != "user_banned");
    for (name, id) in [("sb-auth-user-id", Some(user)), ("sb-auth-session-id", session)] {
        let Some(id) = id else { continue };
        if let Ok(value) = http::HeaderValue::from_str(&id.to_string()) {
            refusal.fault.headers.push((http::HeaderName::from_static(name), value));
        }
    }
    refusal
}
