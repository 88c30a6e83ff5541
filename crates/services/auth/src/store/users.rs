//! `auth.users`.

use super::db::Step;
use crate::moment::Moment;
use pg::{null, param, text};
use serde_json::{Map, Value};
use sql::{Fragment, Ident, Param};
use uuid::Uuid;

macro_rules! user_where {
    ($condition:literal) => {
        concat!(include_str!("sql/user.sql"), $condition)
    };
}

/// The user with this id.
pub(crate) fn by_id(id: Uuid) -> Step {
    Step::new(user_where!("where u.id = $1"), [param(id)])
}

/// The user who signs in with this address.
pub(crate) fn by_email(email: &str, audience: &str) -> Step {
    Step::new(
        user_where!("where u.email = $1 and u.aud = $2 and u.is_sso_user = false"),
        [text(email), text(audience)],
    )
}

/// The user who signs in with this number.
pub(crate) fn by_phone(phone: &str, audience: &str) -> Step {
    Step::new(
        user_where!("where u.phone = $1 and u.aud = $2 and u.is_sso_user = false"),
        [text(phone), text(audience)],
    )
}

/// The user who wants this number.
pub(crate) fn by_phone_change(phone: &str, audience: &str) -> Step {
    Step::new(
        user_where!("where u.phone_change = $1 and u.aud = $2 and u.is_sso_user = false"),
        [text(phone), text(audience)],
    )
}

/// The user who changes from or to this address and has a token with one of the hashes.
pub(crate) fn by_email_change(email: &str, hash: &str, audience: &str) -> Step {
    Step::new(
        user_where!(
            "where u.aud = $3 and u.is_sso_user = false and (u.email = $1 or u.email_change = $1) and u.id in (
  select t.user_id from auth.one_time_tokens t
  where t.token_type in ('email_change_token_new', 'email_change_token_current')
    and t.token_hash in ($2, 'pkce_' || $2))"
        ),
        [text(email), text(hash), text(audience)],
    )
}

/// The user to whom a token of one of these types belongs, if it was sent by mail: what a number was sent proves
/// nothing of an address.
pub(crate) fn by_token_hash(hash: &str, types: &[&str]) -> Step {
    Step::new(
        user_where!(
            "where u.id in (
  select t.user_id from auth.one_time_tokens t
  where t.token_hash = $1 and t.token_type = any ($2::auth.one_time_token_type[]) and t.relates_to like '%@%')"
        ),
        [text(hash), text(format!("{{{}}}", types.join(",")))],
    )
}

/// The user of a refresh token.
pub(crate) fn by_refresh_token(token: &str) -> Step {
    Step::new(
        user_where!("where u.id = (select t.user_id::uuid from auth.refresh_tokens t where t.token = $1)"),
        [text(token)],
    )
}

/// The user of an identity.
pub(crate) fn by_identity(provider: &str, subject: &str) -> Step {
    Step::new(
        user_where!(
            "where u.id = (select i.user_id from auth.identities i where i.provider_id = $1 and i.provider = $2)"
        ),
        [text(subject), text(provider)],
    )
}

/// Users with an identity that carries one of these addresses.
pub(crate) fn with_identity_emails(emails: &[String]) -> Step {
    Step::new(
        user_where!(
            "where u.id in (
  select i.user_id from auth.identities i where i.email in (select jsonb_array_elements_text($1::jsonb)))"
        ),
        [text(Value::from(emails).to_string())],
    )
}

/// Users whose own address is one of these, outside single sign-on.
pub(crate) fn by_emails(emails: &[String]) -> Step {
    Step::new(
        user_where!(
            "where u.email in (select jsonb_array_elements_text($1::jsonb)) and u.is_sso_user = false"
        ),
        [text(Value::from(emails).to_string())],
    )
}

/// The user of a session.
pub(crate) fn by_session(session: Uuid) -> Step {
    Step::new(
        user_where!("where u.id = (select s.user_id from auth.sessions s where s.id = $1)"),
        [param(session)],
    )
}

/// Whoever else holds this address.
pub(crate) fn duplicate_of_email(email: &str, audience: &str, except: Option<Uuid>) -> Step {
    Step::new(
        include_str!("sql/user_duplicate.sql"),
        [text(email), text(audience), except.map_or_else(null, param)],
    )
}

/// A user to be made.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) id: Uuid,
    pub(crate) audience: String,
    pub(crate) role: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) password_hash: String,
    pub(crate) app_metadata: Map<String, Value>,
    pub(crate) user_metadata: Map<String, Value>,
    pub(crate) is_anonymous: bool,
    /// Whether others may have the same address: people of single sign-on.
    pub(crate) is_sso: bool,
}

/// Makes a user, not confirmed: confirmation is a change of its own, as triggers expect.
pub(crate) fn insert(user: &NewUser, now: Moment) -> Step {
    let params = [
        param(user.id),
        text(&user.audience),
        text(&user.role),
        text(&user.email),
        text(&user.phone),
        text(&user.password_hash),
        json(&user.app_metadata),
        json(&user.user_metadata),
        param(if user.is_anonymous { 't' } else { 'f' }),
        param(now),
        param(user.is_sso),
    ];
    Step::new(include_str!("sql/user_insert.sql"), params)
}

pub(crate) fn delete(id: Uuid) -> Step {
    Step::new(include_str!("sql/user_delete.sql"), [param(id)])
}

/// Writes which providers the user has into the app metadata.
pub(crate) fn refresh_providers(id: Uuid, now: Moment) -> Step {
    Step::new(include_str!("sql/providers_refresh.sql"), [param(id), param(now)])
}

/// A page of an audience's users.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) audience: &'a str,
    pub(crate) filter: Option<&'a str>,
    pub(crate) exact: Option<Exact>,
    pub(crate) ascending: bool,
    pub(crate) limit: u64,
    pub(crate) offset: u64,
}

/// An address that is looked for as a whole.
#[derive(Debug)]
pub(crate) enum Exact {
    Email(String),
    Phone(String),
}

/// The page's users, without identities and factors.
pub(crate) fn list(page: &Page<'_>) -> Step {
    let mut f = Fragment::new();
    f.push("select to_jsonb(u) from auth.users u");
    push_condition(&mut f, page);
    push_order(&mut f, page.ascending);
    f.push(" limit ").bind(page.limit.to_string()).push(" offset ").bind(page.offset.to_string());
    Step::built(f)
}

/// How many users the pages have together.
pub(crate) fn count(page: &Page<'_>) -> Step {
    let mut f = Fragment::new();
    f.push("select count(*) from auth.users u");
    push_condition(&mut f, page);
    Step::built(f)
}

/// The users after a place in the list, in its order.
pub(crate) fn list_after(page: &Page<'_>, after: Option<(Moment, Uuid)>) -> Step {
    let mut f = Fragment::new();
    f.push("select to_jsonb(u) from auth.users u");
    push_condition(&mut f, page);
    if let Some((created_at, id)) = after {
        let beyond =
            if page.ascending { " and (u.created_at, u.id) > (" } else { " and (u.created_at, u.id) < (" };
        f.push(beyond).bind(created_at.to_string()).push("::timestamptz, ");
        f.bind(id.to_string()).push("::uuid)");
    }
    push_order(&mut f, page.ascending);
    f.push(" limit ").bind(page.limit.to_string());
    Step::built(f)
}

fn push_condition(f: &mut Fragment, page: &Page<'_>) {
    f.push(" where u.aud = ").bind(page.audience.to_owned());
    match &page.exact {
        // Both have an index: of those who sign in by it, and of everybody.
        Some(Exact::Email(email)) => {
            f.push(" and ((u.is_sso_user = false and u.email = ").bind(email.clone());
            let bound = f.params().len();
            f.push(") or (u.instance_id = '00000000-0000-0000-0000-000000000000' and lower(u.email) = ");
            f.placeholder(bound).push("))");
        }
        Some(Exact::Phone(phone)) => {
            f.push(" and u.phone = ").bind(phone.clone());
        }
        None => {}
    }
    if let Some(filter) = page.filter {
        let pattern = format!("%{filter}%");
        f.push(" and (u.email like ").bind(pattern);
        let bound = f.params().len();
        f.push(" or u.raw_user_meta_data ->> 'full_name' ilike ").placeholder(bound).push(")");
    }
}

fn push_order(f: &mut Fragment, ascending: bool) {
    f.push(if ascending { " order by u.created_at, u.id" } else { " order by u.created_at desc, u.id desc" });
}

/// A change of a user: only the columns named, so that triggers on columns see what really changed.
#[derive(Debug, Default)]
pub(crate) struct Patch {
    set: Vec<(&'static str, Change)>,
}

#[derive(Debug)]
enum Change {
    To(Param),
    /// Merges at the top level; null takes a key away.
    Merge(Map<String, Value>),
}

impl Patch {
    pub(crate) fn new() -> Patch {
        Patch::default()
    }

    pub(crate) fn text(mut self, column: &'static str, value: &str) -> Patch {
        self.set.push((column, Change::To(text(value))));
        self
    }

    pub(crate) fn null(mut self, column: &'static str) -> Patch {
        self.set.push((column, Change::To(null())));
        self
    }

    pub(crate) fn time(mut self, column: &'static str, time: Option<Moment>) -> Patch {
        self.set.push((column, Change::To(time.map_or_else(null, param))));
        self
    }

    pub(crate) fn number(mut self, column: &'static str, number: i16) -> Patch {
        self.set.push((column, Change::To(param(number))));
        self
    }

    pub(crate) fn flag(mut self, column: &'static str, flag: bool) -> Patch {
        self.set.push((column, Change::To(param(flag))));
        self
    }

    pub(crate) fn object(mut self, column: &'static str, object: &Map<String, Value>) -> Patch {
        self.set.push((column, Change::To(json(object))));
        self
    }

    pub(crate) fn merge(mut self, column: &'static str, object: Map<String, Value>) -> Patch {
        self.set.push((column, Change::Merge(object)));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The statement that makes the change.
    pub(crate) fn on(self, id: Uuid, now: Moment) -> Step {
        let mut f = Fragment::new();
        f.push("update auth.users set updated_at = ").bind(now.to_string());
        for (column, change) in self.set {
            f.push(", ").ident(&Ident::new(column)).push(" = ");
            match change {
                Change::To(value) => {
                    f.bind_param(value);
                }
                Change::Merge(object) => write_merge(&mut f, column, object),
            }
        }
        f.push(" where id = ").bind(id.to_string());
        Step::built(f)
    }
}

fn write_merge(f: &mut Fragment, column: &'static str, object: Map<String, Value>) {
    let (gone, kept): (Map<_, _>, Map<_, _>) = object.into_iter().partition(|(_, value)| value.is_null());
    let gone: Vec<String> = gone.into_iter().map(|(key, _)| key).collect();
    f.push("(coalesce(nullif(").ident(&Ident::new(column)).push(", 'null'), '{}') || ");
    f.bind_param(json(&kept)).push("::jsonb) - array(select jsonb_array_elements_text(");
    f.bind(serde_json::to_vec(&gone).unwrap_or_else(|_| b"[]".to_vec())).push("::jsonb))");
}

fn json(object: &Map<String, Value>) -> Param {
    Some(serde_json::to_vec(object).unwrap_or_else(|_| b"{}".to_vec()).into())
}
