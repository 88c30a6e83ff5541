//! `POST /token?grant_type=refresh_token` with a signed token: the session's row is locked and read in one round
//! trip, the decision is written in a second.

use super::refresh_grant::{FAILED, Refreshed, Reuse, check_caller, expired, reused, with_ids};
use crate::Auth;
use crate::call::Call;
use crate::flow::refresh::{self, CounterState, CounterStep};
use crate::flow::signed_token::{self, SignedToken};
use crate::issue::{Grant, device};
use crate::refusal::{Outcome, Refusal, database, internal, invalid, refuse};
use crate::store::audit::Actor;
use crate::store::db::{Unit, all, first, last};
use crate::store::records::{Session, User};
use crate::store::{sessions, users};
use http::{HeaderName, HeaderValue};
use model::Secret;
use uuid::Uuid;

const REUSE_CAUSE: HeaderName = HeaderName::from_static("sb-auth-refresh-token-reuse-cause");
const ROTATED: HeaderName = HeaderName::from_static("sb-auth-refresh-token-rotated");

struct Rows {
    session: Session,
    user: User,
    sessions: Vec<Session>,
}

/// Refreshes, or says nothing when somebody else holds the session.
pub(super) async fn attempt(
    auth: &Auth,
    call: &Call,
    token: &SignedToken,
    client: Option<Uuid>,
) -> Outcome<Option<Refreshed>> {
    let mut steps = vec![
        sessions::lock(token.session),
        sessions::exists(token.session),
        users::by_session(token.session),
    ];
    if auth.settings.sessions.single_per_user {
        steps.push(sessions::of_session_user(token.session));
    }
    let (unit, results) = auth.db.begin(steps).await.map_err(database(FAILED))?;
    let (rows, is_there) = read(&results).map_err(database(FAILED))?;
    let Some(rows) = rows else {
        unit.rollback().await.map_err(database(FAILED))?;
        return if is_there { Ok(None) } else { Err(not_found()) };
    };
    // Who makes tokens up must not learn which sessions there are.
    let Some((key, counter)) = keyed(&rows.session).filter(|(key, _)| token.is_signed_by(key)) else {
        unit.rollback().await.map_err(database(FAILED))?;
        return Err(not_found());
    };
    refresh(auth, call, unit, rows, Signed { sent: token.counter, counter, key }, client).await.map(Some)
}

fn not_found() -> Refusal {
    refuse(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
}

fn read(results: &[pg::Rows]) -> Result<(Option<Rows>, bool), pg::Error> {
    let [session, exists, user, rest @ ..] = results else {
        return Err(pg::Error::Decode("fewer results than statements".to_owned()));
    };
    let is_there = exists.one()?.get(0)?;
    Ok(match (first(session)?, first(user)?) {
        (Some(session), Some(user)) => {
            let sessions = rest.first().map(all).transpose()?.unwrap_or_default();
            (Some(Rows { session, user, sessions }), is_there)
        }
        _ => (None, is_there),
    })
}

/// The key and counter of a session that has signed tokens.
fn keyed(session: &Session) -> Option<(Secret, i64)> {
    session.refresh_token_hmac_key.clone().zip(session.refresh_token_counter)
}

struct Signed {
    sent: i64,
    counter: i64,
    key: Secret,
}

async fn refresh(
    auth: &Auth,
    call: &Call,
    unit: Unit,
    rows: Rows,
    signed: Signed,
    client: Option<Uuid>,
) -> Outcome<Refreshed> {
    let step = match decide(auth, call, &rows, &signed, client) {
        Ok(step) => step,
        Err(refused) => {
            let (session, user) = (rows.session.id, rows.user.id);
            if refused.ends_session {
                // Ending must last although the request fails.
                unit.commit(vec![sessions::delete(session, user)]).await.map_err(database(FAILED))?;
            } else {
                unit.rollback().await.map_err(database(FAILED))?;
            }
            return Err(with_ids(refused.refusal, user, session));
        }
    };
    let now = call.now;
    let mut steps = auth.audit(&Actor::user(&rows.user), "token_refreshed", None, call);
    let (counter, rotated, causes) = match step {
        CounterStep::Advance(counter) => {
            steps.push(sessions::set_counter(rows.session.id, counter));
            (counter, true, Vec::new())
        }
        CounterStep::Repeat { causes } => (signed.counter, false, causes),
        _ => return Err(internal(FAILED, "a refusal is not a step")),
    };
    steps.push(sessions::touch(rows.session.id, &device(call), now));
    steps.push(users::by_id(rows.user.id));
    let next = signed_token::write(rows.session.id, counter, &signed.key)
        .ok_or_else(|| internal(FAILED, "the session's key is not usable"))?;
    let results = unit.commit(steps).await.map_err(database(FAILED))?;
    let user: User = last(&results).map_err(database(FAILED))?;
    super::refresh_grant::clean_up(auth, call).await;
    let grant = Grant::new(auth, call, user, &rows.session, next, "token_refresh").await?;
    Ok(Refreshed { grant, rotated, causes: causes.join(",") })
}

struct Refused {
    refusal: Refusal,
    ends_session: bool,
}

fn decide(
    auth: &Auth,
    call: &Call,
    rows: &Rows,
    signed: &Signed,
    client: Option<Uuid>,
) -> Result<CounterStep, Refused> {
    let Rows { session, user, sessions } = rows;
    let refused = |refusal| Refused { refusal, ends_session: false };
    check_caller(call, user, session, client).map_err(refused)?;
    let possible = user.possible_assurance();
    let state = CounterState { sent: signed.sent, counter: signed.counter, session, sessions, possible };
    match refresh::decide_counter(&auth.settings, &state, call.now) {
        step @ (CounterStep::Advance(_) | CounterStep::Repeat { .. }) => Ok(step),
        CounterStep::Expired(reason) => Err(refused(expired(reason))),
        CounterStep::Ahead => {
            tracing::warn!(session = %session.id, sent = signed.sent, counter = signed.counter,
                "a refresh token is ahead of its session: the database is older than the token");
            Err(refused(invalid("Invalid Refresh Token: Not Issued By This Server")))
        }
        CounterStep::Reused { ends_session } => {
            let behind = Some(signed.counter.saturating_sub(signed.sent));
            reused(auth, call, session, user, Reuse { is_ended: ends_session, replaced: None, behind });
            let mut refusal =
                refuse(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
            if ends_session {
                refusal.fault.headers.push((ROTATED, HeaderValue::from_static("true")));
            }
            Err(Refused { refusal, ends_session })
        }
    }
}

/// Says in the headers why a token that was used before is good all the same.
pub(super) fn mark_causes(response: &mut http::Response<axum::body::Body>, causes: &str) {
    if let Some(value) = HeaderValue::from_str(causes).ok().filter(|_| !causes.is_empty()) {
        response.headers_mut().insert(REUSE_CAUSE, value);
    }
}
