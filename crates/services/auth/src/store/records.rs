//! Rows as the statements return them (whole, as JSON), and users as clients see them.
//!
//! Columns that the reference never leaves null are read as if they could be: rows are also made by hand.

use crate::flow::session::Assurance;
use crate::moment::Moment;
use model::Secret;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A row of `auth.users` with the user's identities and factors.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) aud: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) encrypted_password: Option<String>,
    pub(crate) email_confirmed_at: Option<Moment>,
    pub(crate) invited_at: Option<Moment>,
    pub(crate) confirmation_token: Option<String>,
    pub(crate) confirmation_sent_at: Option<Moment>,
    pub(crate) recovery_token: Option<String>,
    pub(crate) recovery_sent_at: Option<Moment>,
    pub(crate) email_change_token_new: Option<String>,
    pub(crate) email_change_token_current: Option<String>,
    pub(crate) email_change: Option<String>,
    pub(crate) email_change_sent_at: Option<Moment>,
    pub(crate) email_change_confirm_status: Option<i16>,
    pub(crate) last_sign_in_at: Option<Moment>,
    pub(crate) raw_app_meta_data: Option<Value>,
    pub(crate) raw_user_meta_data: Option<Value>,
    pub(crate) created_at: Option<Moment>,
    pub(crate) updated_at: Option<Moment>,
    pub(crate) phone: Option<String>,
    pub(crate) phone_confirmed_at: Option<Moment>,
    pub(crate) phone_change: Option<String>,
    pub(crate) phone_change_token: Option<String>,
    pub(crate) phone_change_sent_at: Option<Moment>,
    pub(crate) confirmed_at: Option<Moment>,
    pub(crate) banned_until: Option<Moment>,
    pub(crate) reauthentication_token: Option<String>,
    pub(crate) reauthentication_sent_at: Option<Moment>,
    #[serde(default)]
    pub(crate) is_sso_user: bool,
    pub(crate) deleted_at: Option<Moment>,
    #[serde(default)]
    pub(crate) is_anonymous: bool,
    /// Nothing when the statement did not ask for them, as in lists.
    #[serde(default)]
    pub(crate) identities: Option<Vec<Identity>>,
    #[serde(default)]
    pub(crate) factors: Vec<Factor>,
}

impl User {
    pub(crate) fn email(&self) -> &str {
        self.email.as_deref().unwrap_or_default()
    }

    pub(crate) fn phone(&self) -> &str {
        self.phone.as_deref().unwrap_or_default()
    }

    pub(crate) fn password_hash(&self) -> Option<&str> {
        self.encrypted_password.as_deref().filter(|hash| !hash.is_empty())
    }

    pub(crate) fn is_banned(&self, now: Moment) -> bool {
        self.banned_until.is_some_and(|until| now < until)
    }

    pub(crate) fn app_metadata(&self) -> Map<String, Value> {
        object(self.raw_app_meta_data.as_ref())
    }

    pub(crate) fn user_metadata(&self) -> Map<String, Value> {
        object(self.raw_user_meta_data.as_ref())
    }

    pub(crate) fn identities(&self) -> &[Identity] {
        self.identities.as_deref().unwrap_or_default()
    }

    /// The identity of this provider whose subject is the user itself.
    pub(crate) fn own_identity(&self, provider: &str) -> Option<&Identity> {
        let id = self.id.to_string();
        self.identities().iter().find(|identity| identity.provider == provider && identity.provider_id == id)
    }

    /// The strongest authentication that the user can reach.
    pub(crate) fn possible_assurance(&self) -> Assurance {
        let verified = self.factors.iter().any(Factor::is_verified);
        if verified { Assurance::Aal2 } else { Assurance::Aal1 }
    }
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The form in which clients get a user.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    aud: &'a str,
    role: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_confirmed_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_at: Option<Moment>,
    phone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_confirmed_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation_sent_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_sent_at: Option<Moment>,
    #[serde(skip_serializing_if = "str::is_empty")]
    new_email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_change_sent_at: Option<Moment>,
    #[serde(skip_serializing_if = "str::is_empty")]
    new_phone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_change_sent_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reauthentication_sent_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sign_in_at: Option<Moment>,
    app_metadata: Map<String, Value>,
    user_metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "<[Factor]>::is_empty")]
    factors: &'a [Factor],
    identities: Option<&'a [Identity]>,
    created_at: Option<Moment>,
    updated_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    banned_until: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Moment>,
    is_anonymous: bool,
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shown {
            id: self.id,
            aud: self.aud.as_deref().unwrap_or_default(),
            role: self.role.as_deref().unwrap_or_default(),
            email: self.email(),
            email_confirmed_at: self.email_confirmed_at,
            invited_at: self.invited_at,
            phone: self.phone(),
            phone_confirmed_at: self.phone_confirmed_at,
            confirmation_sent_at: self.confirmation_sent_at,
            confirmed_at: self.confirmed_at,
            recovery_sent_at: self.recovery_sent_at,
            new_email: self.email_change.as_deref().unwrap_or_default(),
            email_change_sent_at: self.email_change_sent_at,
            new_phone: self.phone_change.as_deref().unwrap_or_default(),
            phone_change_sent_at: self.phone_change_sent_at,
            reauthentication_sent_at: self.reauthentication_sent_at,
            last_sign_in_at: self.last_sign_in_at,
            app_metadata: self.app_metadata(),
            user_metadata: self.user_metadata(),
            factors: &self.factors,
            identities: self.identities.as_deref(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            banned_until: self.banned_until,
            deleted_at: self.deleted_at,
            is_anonymous: self.is_anonymous,
        }
        .serialize(serializer)
    }
}

/// A row of `auth.identities`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    pub(crate) provider_id: String,
    pub(crate) user_id: Uuid,
    pub(crate) identity_data: Value,
    pub(crate) provider: String,
    pub(crate) last_sign_in_at: Option<Moment>,
    pub(crate) created_at: Option<Moment>,
    pub(crate) updated_at: Option<Moment>,
    pub(crate) email: Option<String>,
}

impl Identity {
    pub(crate) fn email(&self) -> &str {
        self.email.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_email_verified(&self) -> bool {
        self.identity_data.get("email_verified") == Some(&Value::Bool(true))
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            identity_id: Uuid,
            id: &'a str,
            user_id: Uuid,
            identity_data: &'a Value,
            provider: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            last_sign_in_at: Option<Moment>,
            created_at: Option<Moment>,
            updated_at: Option<Moment>,
            #[serde(skip_serializing_if = "str::is_empty")]
            email: &'a str,
        }
        Shown {
            identity_id: self.id,
            id: &self.provider_id,
            user_id: self.user_id,
            identity_data: &self.identity_data,
            provider: &self.provider,
            last_sign_in_at: self.last_sign_in_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            email: self.email(),
        }
        .serialize(serializer)
    }
}

/// A row of `auth.mfa_factors`. Its secret is never shown.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Factor {
    pub(crate) id: Uuid,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) friendly_name: Option<String>,
    pub(crate) factor_type: String,
    #[serde(skip_serializing)]
    pub(crate) secret: Option<String>,
    /// Shown as an empty text when there is none.
    #[serde(serialize_with = "text_or_empty")]
    pub(crate) phone: Option<String>,
    pub(crate) last_challenged_at: Option<Moment>,
    #[serde(default, skip_serializing)]
    pub(crate) web_authn_credential: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) web_authn_aaguid: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_webauthn_challenge_data: Option<Value>,
}

fn text_or_empty<S: serde::Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text.as_deref().unwrap_or_default())
}

impl Factor {
    pub(crate) fn is_verified(&self) -> bool {
        self.status == "verified"
    }
}

/// A row of `auth.mfa_challenges`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Challenge {
    pub(crate) id: Uuid,
    pub(crate) created_at: Moment,
    pub(crate) verified_at: Option<Moment>,
    pub(crate) ip_address: String,
    pub(crate) otp_code: Option<String>,
    #[serde(default)]
    pub(crate) web_authn_session_data: Option<Value>,
    /// The steps of codes that were used before, of a factor by time.
    #[serde(default)]
    pub(crate) used: Vec<String>,
}

/// A row of `auth.sessions` with how it was authenticated.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) created_at: Moment,
    pub(crate) not_after: Option<Moment>,
    pub(crate) refreshed_at: Option<Moment>,
    pub(crate) aal: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) oauth_client_id: Option<Uuid>,
    pub(crate) scopes: Option<String>,
    /// The key and the counter of signed refresh tokens.
    #[serde(default)]
    pub(crate) refresh_token_hmac_key: Option<Secret>,
    #[serde(default)]
    pub(crate) refresh_token_counter: Option<i64>,
    #[serde(default)]
    pub(crate) amr: Vec<Method>,
}

/// A row of `auth.mfa_amr_claims`: one way in which a session was authenticated, and when last.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Method {
    pub(crate) authentication_method: String,
    pub(crate) updated_at: Moment,
}

/// A row of `auth.refresh_tokens`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RefreshToken {
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) revoked: bool,
    pub(crate) parent: Option<String>,
    pub(crate) updated_at: Option<Moment>,
}

/// A row of `auth.flow_state`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FlowState {
    pub(crate) id: Uuid,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) auth_code: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
    pub(crate) provider_type: String,
    pub(crate) provider_access_token: Option<String>,
    pub(crate) provider_refresh_token: Option<String>,
    pub(crate) authentication_method: String,
    pub(crate) created_at: Option<Moment>,
    pub(crate) auth_code_issued_at: Option<Moment>,
    pub(crate) invite_token: Option<String>,
    pub(crate) referrer: Option<String>,
    pub(crate) oauth_client_state_id: Option<Uuid>,
    pub(crate) linking_target_id: Option<Uuid>,
    #[serde(default)]
    pub(crate) email_optional: bool,
}
