//! Telling people of changes of their account.

use crate::Auth;
use crate::call::Call;
use crate::settings::Notification;
use crate::store::db::Step;
use crate::store::outbox::{self, Channel};
use crate::store::records::User;
use serde_json::{Value, json};
use std::time::Duration;

/// News of a change are of no use later.
const EXPIRY: Duration = Duration::from_secs(86_400);

/// The step that tells somebody of a change; none when the project does not want it or there is no address.
///
/// Where the project's mail of the hour is used up, the change is made and nobody told: unlike the reference's, our
/// changes do not fail for that.
pub(crate) fn step(
    auth: &Auth,
    call: &Call,
    what: Notification,
    user: &User,
    to: &str,
    details: Value,
) -> Option<Step> {
    let settings = &auth.settings;
    if to.is_empty()
        || !settings.mail.notifications.contains(&what)
        || !crate::message::is_authorized(&settings.mail, to)
        || auth.limits.count_mail(settings, call.now).is_err()
    {
        return None;
    }
    let mut data = json!({ "site_url": settings.site_url });
    if let (Some(data), Value::Object(details)) = (data.as_object_mut(), details) {
        data.extend(details);
    }
    Some(outbox::insert(outbox::New {
        channel: Channel::Email,
        kind: what.kind(),
        to,
        user: user.id,
        data: &data,
        now: call.now,
        expiry: EXPIRY,
    }))
}
