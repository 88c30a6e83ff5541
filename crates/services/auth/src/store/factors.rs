//! `auth.mfa_factors`, `auth.mfa_challenges` and `auth.webauthn_credentials`.

use super::db::Step;
use pg::param;
use uuid::Uuid;

/// Takes away all second factors and passkeys of a user.
pub(crate) fn forget(user: Uuid) -> [Step; 2] {
    [
        Step::new(include_str!("sql/factor_delete_all.sql"), [param(user)]),
        Step::new(include_str!("sql/passkey_delete_all.sql"), [param(user)]),
    ]
}
