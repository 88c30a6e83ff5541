//! `POST /token?grant_type=refresh_token`: the rows are locked and read in one round trip, the decision is
//! written in a second.

use crate::Auth;
use crate::call::Call;
use crate::flow::refresh::{self, State, Step as Decision};
use crate::issue::{Grant, device};
use crate::refusal::{Outcome, Refusal, database, invalid, oauth, refuse};
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

const FAILED: &str = "Database error granting user";

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
    rotated: bool,
}

impl Refreshed {
    /// Notes in the headers that the token was used for the first time.
    pub(super) fn mark(&self, response: &mut Response<Body>) {
        if self.rotated {
            reply::set(response, "sb-auth-refresh-token-reuse", "false");
        }
    }
}

/// Refreshes. The session must be that of the application that asks, or of none.
pub(super) async fn grant(
    auth: &Auth,
    call: &Call,
    token: String,
    client: Option<Uuid>,
) -> Outcome<Refreshed> {
    if !refresh::is_token(&token) {
        return Err(invalid("Refresh token is not valid"));
    }
    let deadline = Instant::now() + WAIT_MAX;
    while Instant::now() < deadline {
        let (unit, found) = lock(auth, &token).await?;
        match found {
            Found::Rows(rows) => return refresh(auth, call, unit, *rows, client).await,
            Found::Busy => unit.rollback().await.map_err(database(FAILED))?,
            Found::Missing => {
                unit.rollback().await.map_err(database(FAILED))?;
                let message = "Invalid Refresh Token: Refresh Token Not Found";
                return Err(refuse(400, "refresh_token_not_found", message));
            }
            Found::NoSession => {
                unit.commit(vec![refresh_tokens::delete(&token)]).await.map_err(database(FAILED))?;
                let message = "Invalid Refresh Token: No Valid Session Found";
                return Err(refuse(400, "session_not_found", message));
            }
        }
        // The connection went back to the pool; the pause differs so that waiters do not march in step.
        let [random] = token::random_bytes::<1>();
        tokio::time::sleep(Duration::from_millis(10 + u64::from(random) % 20)).await;
    }
    let message = "Too many concurrent token refresh requests on the same session or refresh token";
    Err(refuse(409, "conflict", message))
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
                let steps = vec![refresh_tokens::revoke_family(session, call.now)];
                unit.commit(steps).await.map_err(database(FAILED))?;
            } else {
                unit.rollback().await.map_err(database(FAILED))?;
            }
            return Err(with_ids(refusal, rows.user.id, session));
        }
    };
    let rotated = issued.is_none();
    let next = issued.unwrap_or_else(refresh::new_token);
    let steps = write(auth, call, &rows, rotated.then_some(next.as_str()));
    let results = unit.commit(steps).await.map_err(database(FAILED))?;
    let user: User = last(&results).map_err(database(FAILED))?;
    clean_up(auth, call).await;
    let grant = Grant::new(auth, call, user, &rows.session, next, "token_refresh").await?;
    Ok(Refreshed { grant, rotated })
}

/// Now and then takes away old rows. That it fails is no reason to fail the request.
async fn clean_up(auth: &Auth, call: &Call) {
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
    if user.is_banned(call.now) {
        return Err((refuse(400, "user_banned", "Invalid Refresh Token: User Banned"), false));
    }
    if session.oauth_client_id != client {
        let message = match (session.oauth_client_id, client) {
            (_, None) => "Client authentication required for OAuth session",
            (Some(_), _) => "Client does not match the session's OAuth client",
            (None, _) => "Client authentication not allowed for non-OAuth session",
        };
        return Err((oauth("invalid_client", message), false));
    }
    let possible = user.possible_assurance();
    let state = State { token, session, active: active.as_ref(), sessions, possible };
    match refresh::decide(&auth.settings, &state, call.now) {
        Decision::Rotate => Ok(None),
        Decision::Repeat(active) => Ok(Some(active)),
        Decision::Expired(expired) => Err((refuse(400, "session_expired", expired.message()), false)),
        Decision::Reused { revoke_family } => {
            tracing::warn!(session = %session.id, user = %user.id, revoke_family,
                "a refresh token was used again after its successor; its family is revoked if rotation is on");
            let message = "Invalid Refresh Token: Already Used";
            Err((refuse(400, "refresh_token_already_used", message), revoke_family))
        }
    }
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
fn with_ids(mut refusal: Refusal, user: Uuid, session: Uuid) -> Refusal {
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
