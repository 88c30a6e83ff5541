//! Text messages by the companies that send them.

use crate::Auth;
use crate::call::Call;
use crate::refusal::{Outcome, internal, refuse};
use crate::settings::{SmsAccount, SmsGateway};
use crate::store::outbox::Written;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use bytes::Bytes;
use http::{Request, header};
use model::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

const LIMITS: outbound::Limits = outbound::Limits { timeout: Duration::from_secs(8), body: 64 * 1024 };
const WHATSAPP: &str = "whatsapp";

#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    channel: Option<String>,
}

/// Whether messages can take this way; the empty one is the usual.
pub(crate) fn takes_channel(auth: &Auth, channel: &str) -> bool {
    if auth.settings.hooks.send_sms.is_some() {
        return true;
    }
    let is_twilio = auth.settings.sms.gateway.as_ref().is_some_and(|gateway| {
        matches!(gateway.account, SmsAccount::Twilio { .. } | SmsAccount::TwilioVerify { .. })
    });
    matches!(channel, "" | "sms") || (channel == WHATSAPP && is_twilio)
}

/// Sends a message that has been written.
pub(crate) async fn send(auth: &Auth, call: &Call, gateway: &SmsGateway, message: &Written) -> Outcome<()> {
    let settings = &auth.settings.sms;
    let code = message.data.get("token").and_then(Value::as_str).unwrap_or_default();
    let is_factor = message.kind == "mfa";
    let template = if is_factor { &settings.factor_template } else { &settings.template };
    let channel = call.json::<Body>().ok().and_then(|body| body.channel).unwrap_or_default();
    let text = Text {
        phone: &message.recipient,
        body: &filled(template, code),
        code,
        is_whatsapp: channel == WHATSAPP,
    };
    let why = match text.send(auth, gateway).await {
        Ok(id) => {
            call.note_message(id);
            return Ok(());
        }
        Err(why) => why,
    };
    tracing::warn!(%why, "a text message was not sent");
    if is_factor {
        return Err(internal("error sending message", why));
    }
    let kind = match message.kind.as_str() {
        "phone_change_token" => "phone_change",
        "reauthentication_token" => "reauthentication",
        _ => "confirmation",
    };
    Err(refuse(422, "sms_send_failed", format!("Error sending {kind} OTP to provider: {why}")))
}

/// Whether it is the company that makes the codes up and checks them.
pub(crate) fn codes_are_elsewhere(auth: &Auth) -> bool {
    let gateway = auth.settings.sms.gateway.as_ref();
    auth.settings.hooks.send_sms.is_none()
        && gateway.is_some_and(|gateway| matches!(gateway.account, SmsAccount::TwilioVerify { .. }))
}

/// Whether a code is right, where the company knows and we do not. Each time costs its customer something: it is asked
/// only about codes that somebody waits for.
pub(crate) async fn approved(auth: &Auth, phone: &str, code: &str) -> Option<bool> {
    if !codes_are_elsewhere(auth) {
        return None;
    }
    let gateway = auth.settings.sms.gateway.as_ref()?;
    let SmsAccount::TwilioVerify { account_sid, auth_token, message_service_sid } = &gateway.account else {
        return None;
    };
    let base = gateway.endpoint.as_deref().unwrap_or(TWILIO_VERIFY).trim_end_matches('/');
    let url = format!("{base}/v2/Services/{message_service_sid}/VerificationCheck");
    let form = [("To", format!("+{phone}")), ("Code", code.to_owned())];
    let answer = post(auth, &url, Some(basic(account_sid, auth_token)), &form).await;
    let answer = answer.inspect_err(|why| tracing::warn!(%why, "a code could not be checked")).ok();
    Some(answer.is_some_and(|(status, said)| {
        matches!(status, 200 | 201) && said["status"] == json!("approved") && said["valid"] == json!(true)
    }))
}

/// The template with the code in its place.
fn filled(template: &str, code: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        match after.split_once("}}") {
            Some((inside, after)) if inside.trim().trim_matches('-').trim() == ".Code" => {
                out.push_str(code);
                rest = after;
            }
            _ => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out + rest
}

const TWILIO: &str = "https://api.twilio.com";
const TWILIO_VERIFY: &str = "https://verify.twilio.com";
const MESSAGEBIRD: &str = "https://rest.messagebird.com";
const TEXTLOCAL: &str = "https://api.textlocal.in";
const VONAGE: &str = "https://rest.nexmo.com";

/// A message on its way.
struct Text<'a> {
    phone: &'a str,
    body: &'a str,
    code: &'a str,
    is_whatsapp: bool,
}

/// The company's id of a message, or why it did not take it.
type Sent = Result<String, String>;

impl Text<'_> {
    async fn send(&self, auth: &Auth, gateway: &SmsGateway) -> Sent {
        let base = |usual: &'static str| {
            gateway.endpoint.as_deref().unwrap_or(usual).trim_end_matches('/').to_owned()
        };
        match &gateway.account {
            SmsAccount::Twilio { account_sid, auth_token, message_service_sid, content_sid } => {
                let url = format!("{}/2010-04-01/Accounts/{account_sid}/Messages.json", base(TWILIO));
                let form = self.twilio(message_service_sid, content_sid);
                let (status, said) = post(auth, &url, Some(basic(account_sid, auth_token)), &form).await?;
                let id = check_twilio(status, &said)?;
                match said["status"].as_str() {
                    Some("failed" | "undelivered") => Err(format!(
                        "twilio error: {} {} for message {}",
                        shown(&said["error_message"]),
                        shown(&said["error_code"]),
                        shown(&said["sid"])
                    )),
                    _ => Ok(id),
                }
            }
            SmsAccount::TwilioVerify { account_sid, auth_token, message_service_sid } => {
                let url = format!("{}/v2/Services/{message_service_sid}/Verifications", base(TWILIO_VERIFY));
                let channel = if self.is_whatsapp { WHATSAPP } else { "sms" };
                let form = [("To", format!("+{}", self.phone)), ("Channel", channel.to_owned())];
                let (status, said) = post(auth, &url, Some(basic(account_sid, auth_token)), &form).await?;
                check_twilio(status, &said)
            }
            SmsAccount::Messagebird { access_key, originator } => {
                let form = [
                    ("originator", originator.clone()),
                    ("body", self.body.to_owned()),
                    ("recipients", self.phone.to_owned()),
                    ("type", "sms".to_owned()),
                    ("datacoding", "unicode".to_owned()),
                ];
                let key = Secret::new(format!("AccessKey {}", access_key.expose()));
                let url = format!("{}/messages", base(MESSAGEBIRD));
                check_messagebird(post(auth, &url, Some(key), &form).await?)
            }
            SmsAccount::Textlocal { api_key, sender } => {
                let form = [
                    ("sender", sender.clone()),
                    ("apikey", api_key.expose().to_owned()),
                    ("message", self.body.to_owned()),
                    ("numbers", self.phone.to_owned()),
                ];
                let (_, said) = post(auth, &format!("{}/send", base(TEXTLOCAL)), None, &form).await?;
                check_textlocal(&said)
            }
            SmsAccount::Vonage { api_key, api_secret, from } => {
                let mut form = vec![
                    ("from", from.clone()),
                    ("to", self.phone.to_owned()),
                    ("text", self.body.to_owned()),
                    ("api_key", api_key.expose().to_owned()),
                    ("api_secret", api_secret.expose().to_owned()),
                ];
                if !self.body.is_ascii() {
                    form.push(("type", "unicode".to_owned()));
                }
                let (_, said) = post(auth, &format!("{}/sms/json", base(VONAGE)), None, &form).await?;
                check_vonage(&said)
            }
        }
    }

    fn twilio(&self, sender: &str, content_sid: &str) -> Vec<(&'static str, String)> {
        let to = format!("+{}", self.phone);
        if !self.is_whatsapp {
            return vec![
                ("To", to),
                ("Channel", "sms".to_owned()),
                ("From", sender.to_owned()),
                ("Body", self.body.to_owned()),
            ];
        }
        let is_number = crate::flow::address::phone(sender).is_ok();
        let from = if is_number { format!("{WHATSAPP}:{sender}") } else { sender.to_owned() };
        let mut form =
            vec![("To", format!("{WHATSAPP}:{to}")), ("Channel", WHATSAPP.to_owned()), ("From", from)];
        if content_sid.is_empty() {
            form.push(("Body", self.body.to_owned()));
        } else {
            form.push(("ContentSid", content_sid.to_owned()));
            form.push(("ContentVariables", json!({ "1": self.code }).to_string()));
        }
        form
    }
}

fn check_twilio(status: u16, said: &Value) -> Sent {
    if matches!(status, 200 | 201) {
        return Ok(shown(&said["sid"]));
    }
    Err(format!("{} More information: {}", shown(&said["message"]), shown(&said["more_info"])))
}

fn check_messagebird((status, said): (u16, Value)) -> Sent {
    if matches!(status, 400 | 401 | 403 | 422) {
        return Err(shown(&said["errors"][0]["description"]));
    }
    match said["recipients"]["totalSentCount"].as_u64() {
        None | Some(0) => Err("messagebird error: total sent count is 0".to_owned()),
        Some(_) => Ok(shown(&said["id"])),
    }
}

fn check_textlocal(said: &Value) -> Sent {
    if said["status"] == json!("success") {
        return Ok(shown(&said["messages"][0]["id"]));
    }
    let error = &said["errors"][0];
    Err(format!(
        "textlocal error: {} (code: {}) message {}",
        shown(&error["message"]),
        shown(&error["code"]),
        shown(&said["messages"][0]["id"])
    ))
}

fn check_vonage(said: &Value) -> Sent {
    let message = &said["messages"][0];
    match message["status"].as_str() {
        None => Err("vonage error: Internal Error".to_owned()),
        Some("0") => Ok(shown(&message["message-id"])),
        Some(status) => Err(format!(
            "vonage error: {} (status: {status}) for message {}",
            shown(&message["error-text"]),
            shown(&message["message-id"])
        )),
    }
}

/// A part of an answer in a message, not more of it than is of use.
fn shown(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 300;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if value.is_null() { String::new() } else { text.chars().take(CHARACTERS_MAX).collect() }
}

fn basic(user: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", B64.encode(format!("{user}:{}", password.expose()))))
}

/// Posts a form and reads JSON.
async fn post(
    auth: &Auth,
    url: &str,
    authorization: Option<Secret>,
    form: &[(&'static str, String)],
) -> Result<(u16, Value), String> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value.expose());
    }
    let request = request.body(Bytes::from(body)).map_err(|_| "the account is not usable".to_owned())?;
    let answer = auth.settings.outbound.send(request, LIMITS).await.map_err(|error| error.to_string())?;
    let said = serde_json::from_slice(answer.body()).map_err(|_| "the answer is not JSON".to_owned())?;
    Ok((answer.status().as_u16(), said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_takes_its_place() {
        assert_eq!(filled("Your code is {{ .Code }}.", "123"), "Your code is 123.");
        assert_eq!(filled("{{.Code}}{{-  .Code -}}", "7"), "77");
        assert_eq!(filled("{{ .Other }} {{", "7"), "{{ .Other }} {{");
    }
}
