//! Messages that carry a one-time code or link: the token, its traces in the tables and the outbox row.

use crate::Auth;
use crate::call::Call;
use crate::flow::one_time::{OneTime, wait_seconds};
use crate::flow::pkce::Challenge;
use crate::flow::redirect;
use crate::limits::too_soon;
use crate::moment::Moment;
use crate::refusal::{Outcome, refuse};
use crate::settings::MailSettings;
use crate::store::db::Step;
use crate::store::flow_states;
use crate::store::one_time_tokens::{self, Purpose};
use crate::store::outbox::{self, Channel};
use crate::store::users::Patch;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use uuid::Uuid;

/// The kinds of mail with a link, by the word that the link's `type` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Signup,
    Invite,
    Recovery,
    MagicLink,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Signup => "signup",
            Kind::Invite => "invite",
            Kind::Recovery => "recovery",
            Kind::MagicLink => "magiclink",
        }
    }

    pub(crate) fn purpose(self) -> Purpose {
        match self {
            Kind::Signup | Kind::Invite => Purpose::Confirmation,
            Kind::Recovery | Kind::MagicLink => Purpose::Recovery,
        }
    }

    fn sent_column(self) -> &'static str {
        match self {
            Kind::Signup | Kind::Invite => "confirmation_sent_at",
            Kind::Recovery | Kind::MagicLink => "recovery_sent_at",
        }
    }

    /// The authentication method of a PKCE flow that this mail belongs to.
    fn flow_method(self) -> &'static str {
        match self {
            Kind::Signup => "email/signup",
            Kind::Invite => "invite",
            Kind::Recovery => "recovery",
            Kind::MagicLink => "magiclink",
        }
    }
}

/// Somebody a message goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipient<'a> {
    pub(crate) user: Uuid,
    pub(crate) address: &'a str,
    /// When the last message of the kind was sent.
    pub(crate) last_sent: Option<Moment>,
}

/// The steps that send a mail with a link, or why it may not be sent now.
pub(crate) fn mail(
    auth: &Auth,
    call: &Call,
    kind: Kind,
    to: Recipient<'_>,
    challenge: Option<&Challenge>,
) -> Outcome<Vec<Step>> {
    let settings = &auth.settings;
    if kind != Kind::Invite {
        check_mail_frequency(auth, to.last_sent, call.now)?;
    }
    check_authorized(&settings.mail, to.address)?;
    auth.limits.count_mail(settings, call.now)?;
    let token = OneTime::new(to.address, settings.mailer_otp_length, challenge.is_some());
    let mut steps = token_steps(kind, to, &token, call.now);
    if let Some(challenge) = challenge {
        steps.push(flow_states::insert(
            to.user,
            flow_provider(kind),
            kind.flow_method(),
            challenge,
            call.now,
        ));
    }
    let target = redirect_target(auth, call);
    let data = json!({
        "token": token.code,
        "token_hash": token.hash,
        "redirect_to": target,
        "site_url": settings.site_url,
        "confirmation_url": link(auth, call, &token.hash, kind.as_str(), &target),
    });
    steps.push(outbox::insert(outbox::New {
        channel: Channel::Email,
        kind: kind.as_str(),
        to: to.address,
        user: to.user,
        data: &data,
        now: call.now,
        expiry: settings.mailer_otp_expiry,
    }));
    Ok(steps)
}

fn flow_provider(kind: Kind) -> &'static str {
    match kind {
        Kind::Signup => "email",
        Kind::Invite | Kind::Recovery | Kind::MagicLink => kind.flow_method(),
    }
}

/// Stores a token where look-ups by hash and by user find it.
pub(crate) fn token_steps(kind: Kind, to: Recipient<'_>, token: &OneTime, now: Moment) -> Vec<Step> {
    let purpose = kind.purpose();
    let mut patch = Patch::new().text(purpose.as_str(), &token.hash).time(kind.sent_column(), Some(now));
    if kind == Kind::Invite {
        patch = patch.time("invited_at", Some(now));
    }
    let mut steps = vec![patch.on(to.user, now)];
    steps.extend(one_time_tokens::put(to.user, purpose, &token.hash, to.address, now));
    steps
}

/// Refuses an address to which the project's mail may not go.
pub(crate) fn check_authorized(settings: &MailSettings, address: &str) -> Outcome<()> {
    if is_authorized(settings, address) {
        return Ok(());
    }
    let message = format!("Email address {address:?} cannot be used as it is not authorized");
    Err(refuse(400, "email_address_not_authorized", message))
}

/// Whether mail may go to an address. What follows a plus sign in its local part does not count.
pub(crate) fn is_authorized(settings: &MailSettings, address: &str) -> bool {
    let list = &settings.authorized_addresses;
    if list.is_empty() {
        return true;
    }
    let plain = match address.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{domain}", local.split('+').next().unwrap_or(local)),
        None => address.to_owned(),
    };
    list.iter().any(|known| known.eq_ignore_ascii_case(&plain))
}

/// Refuses a message of a kind too soon after the last.
pub(crate) fn check_mail_frequency(auth: &Auth, last: Option<Moment>, now: Moment) -> Outcome<()> {
    match wait_seconds(last, auth.settings.mailer_max_frequency, now) {
        None => Ok(()),
        Some(left) => Err(too_soon("over_email_send_rate_limit", left)),
    }
}

/// Where the link of a message leads in the end.
pub(crate) fn redirect_target(auth: &Auth, call: &Call) -> String {
    let candidates = [call.header("redirect_to"), call.query("redirect_to"), call.header("referer")];
    redirect::target(&auth.settings, &candidates).to_owned()
}

/// The link that uses a token up.
pub(crate) fn link(auth: &Auth, call: &Call, hash: &str, kind: &str, target: &str) -> String {
    let target = if target.contains(['&', '=', '#', '?', ' ', '%', '+']) {
        utf8_percent_encode(target, NON_ALPHANUMERIC).to_string()
    } else {
        target.to_owned()
    };
    format!("{}/verify?token={hash}&type={kind}&redirect_to={target}", external_url(auth, call))
}

/// The public address of this service, under the host by which the client came if that is one of ours.
pub(crate) fn external_url(auth: &Auth, call: &Call) -> String {
    let settings = &auth.settings;
    let host = call.header("x-forwarded-host");
    if !settings.mailer_external_hosts.iter().any(|known| known == host) {
        return settings.external_url.trim_end_matches('/').to_owned();
    }
    let path = settings.external_url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = path.map_or("", |(_, path)| path).trim_end_matches('/');
    let plain = host == "localhost" && call.header("x-forwarded-proto") == "http";
    let scheme = if plain { "http" } else { "https" };
    if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") }
}
