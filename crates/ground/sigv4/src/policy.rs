//! Uploads by HTML forms: a signed document says what the form may contain.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ALGORITHM;
use crate::error::Error;
use crate::presented::Credential;
use crate::verify::Expected;

/// How long a policy may be, in base64.
const TEXT_MAX: usize = 20 << 10;
/// How many conditions it may have.
const CONDITIONS_MAX: usize = 100;

/// Fields that no condition need cover.
const EXEMPT: [&str; 7] = [
    "policy",
    "x-amz-signature",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "file",
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Equals { field: String, value: String },
    StartsWith { field: String, prefix: String },
    Length { min: u64, max: u64 },
}

/// What a form may upload, and until when.
#[derive(Debug, Clone)]
pub struct Policy {
    expiration: OffsetDateTime,
    conditions: Vec<Condition>,
}

/// A form's claim about who signed its policy.
#[derive(Debug, Clone)]
pub struct PostForm {
    /// Who is said to have signed.
    pub credential: Credential,
    /// `x-amz-security-token`.
    pub token: Option<String>,
    /// What was signed.
    pub policy: Policy,
    text: String,
    signature: String,
}

impl PostForm {
    /// Reads the fields of a form. Names in lower case: clients spell them in two ways.
    pub fn read(fields: &[(String, String)]) -> Result<PostForm, Error> {
        let malformed = Error::Malformed(
            "A form must have the fields policy, x-amz-credential, x-amz-date and x-amz-signature",
        );
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let credential = field("x-amz-credential").and_then(Credential::parse).ok_or(malformed)?;
        if field("x-amz-algorithm").is_some_and(|name| name != ALGORITHM) {
            return Err(Error::Malformed("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let stamp = field("x-amz-date").and_then(crate::Stamp::parse).ok_or(malformed)?;
        if stamp.day() != credential.day {
            return Err(Error::Malformed("The credential's scope names another day than the request"));
        }
        let text = field("policy").ok_or(malformed)?;
        Ok(PostForm {
            credential,
            token: field("x-amz-security-token").map(str::to_owned),
            policy: Policy::parse(text)?,
            text: text.to_owned(),
            signature: field("x-amz-signature").ok_or(malformed)?.to_owned(),
        })
    }

    /// Whether one of `secrets` signed the policy, for us. What it allows is [`Policy::check`]'s business.
    pub fn verify(&self, secrets: &[&str], expected: &Expected<'_>) -> Result<(), Error> {
        let keys = self.credential.keys(secrets, None, expected)?;
        let believed = keys.iter().any(|key| key.verify(&self.text, &self.signature));
        if believed { Ok(()) } else { Err(Error::Mismatch) }
    }
}

impl Policy {
    /// Reads a document, in base64 as it is in forms.
    pub fn parse(text: &str) -> Result<Policy, Error> {
        let malformed = Error::PolicyMalformed("Invalid POST policy");
        if text.len() > TEXT_MAX {
            return Err(Error::PolicyMalformed("The policy is too long"));
        }
        let json = STANDARD.decode(text).map_err(|_| malformed)?;
        let value: Value = serde_json::from_slice(&json).map_err(|_| malformed)?;
        let expiration = value.get("expiration").and_then(Value::as_str);
        let expiration = expiration.ok_or(Error::PolicyMalformed("Missing policy expiration"))?;
        let expiration = OffsetDateTime::parse(expiration, &Rfc3339)
            .map_err(|_| Error::PolicyMalformed("Invalid policy expiration"))?;
        let list = value.get("conditions").and_then(Value::as_array);
        let list = list.ok_or(Error::PolicyMalformed("Invalid policy conditions"))?;
        if list.len() > CONDITIONS_MAX {
            return Err(Error::PolicyMalformed("The policy has too many conditions"));
        }
        let conditions = list.iter().map(condition).collect::<Option<_>>();
        let conditions = conditions.ok_or(Error::PolicyMalformed("Invalid policy condition"))?;
        Ok(Policy { expiration, conditions })
    }

    /// Whether a form for this bucket is what the policy allows. Names of fields in lower case.
    pub fn check(&self, fields: &[(String, String)], bucket: &str, now: OffsetDateTime) -> Result<(), Error> {
        if self.expiration < now {
            return Err(Error::PolicyRefused("Policy expired."));
        }
        let value_of = |name: &str| match name {
            "bucket" => Some(bucket),
            name => fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()),
        };
        for condition in &self.conditions {
            let met = match condition {
                Condition::Equals { field, value } => value_of(field) == Some(value.as_str()),
                Condition::StartsWith { field, prefix } => {
                    value_of(field).is_some_and(|value| value.starts_with(prefix.as_str()))
                }
                Condition::Length { .. } => true,
            };
            if !met {
                return Err(Error::PolicyRefused("Policy Condition failed"));
            }
        }
        let names = fields.iter().map(|(name, _)| name.as_str()).chain(std::iter::once("bucket"));
        let doubled =
            fields.iter().enumerate().any(|(i, (name, _))| fields.iter().skip(i + 1).any(|(n, _)| n == name));
        if doubled {
            return Err(Error::PolicyRefused("A field was given twice"));
        }
        for name in names.filter(|name| !EXEMPT.contains(name) && !name.starts_with("x-ignore-")) {
            if !self.covers(name) {
                return Err(Error::PolicyRefused("Extra input fields"));
            }
        }
        Ok(())
    }

    /// How long the file may be: the narrowest of all ranges.
    pub fn length(&self) -> Option<(u64, u64)> {
        self.conditions.iter().fold(None, |range, condition| match (range, condition) {
            (None, Condition::Length { min, max }) => Some((*min, *max)),
            (Some((low, high)), Condition::Length { min, max }) => Some((low.max(*min), high.min(*max))),
            (range, _) => range,
        })
    }

    fn covers(&self, name: &str) -> bool {
        self.conditions.iter().any(|condition| match condition {
            Condition::Equals { field, .. } | Condition::StartsWith { field, .. } => field == name,
            Condition::Length { .. } => false,
        })
    }
}

fn condition(value: &Value) -> Option<Condition> {
    match value {
        Value::Object(object) => {
            let mut entries = object.iter();
            let (Some((field, value)), None) = (entries.next(), entries.next()) else { return None };
            Some(Condition::Equals { field: field.to_ascii_lowercase(), value: scalar(value)? })
        }
        Value::Array(list) => {
            let [operator, first, second] = list.as_slice() else { return None };
            let operator = operator.as_str()?.to_ascii_lowercase();
            if operator == "content-length-range" {
                return Some(Condition::Length { min: number(first)?, max: number(second)? });
            }
            let field = first.as_str()?.strip_prefix('$')?.to_ascii_lowercase();
            match operator.as_str() {
                "eq" => Some(Condition::Equals { field, value: scalar(second)? }),
                "starts-with" => Some(Condition::StartsWith { field, prefix: scalar(second)? }),
                _ => None,
            }
        }
        _ => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
