//! To which account an identity belongs.
//!
//! Accounts are told apart by domain: single sign-on has one for each of its providers, a project may put
//! providers into one of their own, and all others share one. Inside a domain a verified address is enough to join
//! an account; an address that nobody verified never is.

use super::Arrival;
use crate::settings::{ExternalSettings, Settings};
use crate::store::db::{Step, all, first};
use crate::store::records::{Identity, User};
use crate::store::users;
use uuid::Uuid;

/// The domain of everything that has none of its own.
const COMMON: &str = "default";

/// Who might be meant.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The account that has the identity.
    pub(super) of_identity: Option<User>,
    /// Accounts with an identity that carries one of the verified addresses.
    pub(super) of_similar_identity: Vec<User>,
    /// Accounts whose own address is one of the verified ones.
    pub(super) of_address: Vec<User>,
    /// Whoever holds the address that a new account would get.
    pub(super) holder: Option<User>,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Decision {
    /// The identity is known.
    Exists { user: Box<User>, identity: Uuid },
    /// It joins an account.
    Link(Box<User>),
    /// It gets an account of its own.
    Create,
    /// It would have to join several.
    Several,
    /// It would join one, were that allowed.
    Apart,
}

/// What to do, and with which address.
#[derive(Debug)]
pub(super) struct Linking {
    pub(super) decision: Decision,
    pub(super) domain: String,
    /// The account's address; empty when it has none.
    pub(super) address: String,
    /// Whether the provider has verified that very address.
    pub(super) verified: bool,
}

/// The domain of a provider.
pub(super) fn domain(settings: &ExternalSettings, provider: &str) -> String {
    if provider.starts_with("sso:") {
        return provider.to_owned();
    }
    settings.linking_domains.get(provider).map_or_else(|| COMMON.to_owned(), Clone::clone)
}

/// The addresses that the provider has verified. Only these may choose an account: where addresses confirm themselves,
/// that is said of the address of a new account, not of anybody's.
fn verified(arrival: &Arrival) -> Vec<String> {
    let emails = arrival.profile.emails().iter();
    emails.filter(|email| email.verified).map(|email| email.address.clone()).collect()
}

/// The statements that find who might be meant, locking them.
pub(super) fn steps(arrival: &Arrival) -> Vec<Step> {
    let addresses = verified(arrival);
    let candidate = arrival.profile.primary().map_or("", |email| email.address.as_str());
    vec![
        users::by_identity(&arrival.provider, arrival.profile.subject()).locking("u"),
        users::with_identity_emails(&addresses).locking("u"),
        users::by_emails(&addresses).locking("u"),
        users::duplicate_of_email(candidate, &arrival.audience, None),
    ]
}

/// What [`steps`] found.
pub(super) fn read(results: &[pg::Rows]) -> Result<Candidates, pg::Error> {
    let [of_identity, of_similar_identity, of_address, holder] = results else {
        return Err(pg::Error::Decode("a result is missing".to_owned()));
    };
    Ok(Candidates {
        of_identity: first(of_identity)?,
        of_similar_identity: all(of_similar_identity)?,
        of_address: all(of_address)?,
        holder: first(holder)?,
    })
}

/// Decides.
pub(super) fn decide(settings: &Settings, arrival: &Arrival, candidates: Candidates) -> Linking {
    let external = &settings.external;
    let domain = domain(external, &arrival.provider);
    let primary = arrival.profile.primary();
    let addresses = verified(arrival);
    let mut address = primary.map(|email| email.address.clone()).unwrap_or_default();
    let is_taken = candidates.holder.is_some();
    let found = candidates.of_identity.and_then(|user| {
        let subject = arrival.profile.subject();
        let is_it = |i: &&Identity| i.provider == arrival.provider && i.provider_id == subject;
        let identity = user.identities().iter().find(is_it)?.id;
        Some((user, identity))
    });
    let decision = if let Some((user, identity)) = found {
        // The account keeps its address, which may be another than the provider's.
        user.email().clone_into(&mut address);
        Decision::Exists { user: Box::new(user), identity }
    } else if addresses.is_empty() {
        Decision::Create
    } else {
        let similar = candidates.of_similar_identity.into_iter().filter(|user| {
            user.identities().iter().any(|i| {
                addresses.iter().any(|a| a == i.email())
                    && super::linking::domain(external, &i.provider) == domain
                    && is_proven(i, user)
            })
        });
        let mut users: Vec<User> = similar.collect();
        if users.is_empty() && domain == COMMON {
            users = candidates.of_address;
        }
        match (users.pop(), users.is_empty()) {
            (None, _) => Decision::Create,
            (Some(_), false) => Decision::Several,
            (Some(user), true) if external.automatic_linking => Decision::Link(Box::new(user)),
            (Some(_), true) => Decision::Apart,
        }
    };
    let is_new = matches!(decision, Decision::Create);
    if is_new && is_taken && !addresses.contains(&address) {
        address.clear();
    }
    // An address of the account that the provider says nothing of is not verified by one that it does speak of.
    let verified =
        addresses.contains(&address) || is_new && settings.mailer_autoconfirm && !address.is_empty();
    Linking { decision, domain, address, verified }
}

/// Whether an identity's address is more than a claim: somebody could link an identity that carries another
/// person's address and wait for that person to join.
fn is_proven(identity: &Identity, user: &User) -> bool {
    identity.is_email_verified() || identity.email() == user.email()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::external::Profile;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn settings() -> Settings {
        Settings::new(Arc::new(token::KeySet::from_secret(b"s")), "https://site.dev", "https://auth.dev")
    }

    fn arrival(provider: &str, verified: bool) -> Arrival {
        let profile = Profile::new("https://p.dev", "7").email("ann@x.dev", verified, true);
        Arrival {
            provider: provider.to_owned(),
            profile,
            email_optional: false,
            audience: "authenticated".to_owned(),
        }
    }

    fn user(email: &str, identities: Value) -> User {
        let id = Uuid::new_v4();
        let identities: Vec<Value> = identities
            .as_array()
            .unwrap()
            .iter()
            .map(|given| {
                json!({
                    "id": Uuid::new_v4(), "user_id": id, "provider": given[0], "provider_id": given[1],
                    "email": given[2], "identity_data": { "email_verified": given[3] },
                })
            })
            .collect();
        serde_json::from_value(json!({ "id": id, "email": email, "identities": identities })).unwrap()
    }

    fn name(linking: &Linking) -> &'static str {
        match linking.decision {
            Decision::Exists { .. } => "exists",
            Decision::Link(_) => "link",
            Decision::Create => "create",
            Decision::Several => "several",
            Decision::Apart => "apart",
        }
    }

    #[test]
    fn only_verified_addresses_link() {
        let ann = || user("ann@x.dev", json!([["email", "1", "ann@x.dev", false]]));
        let all = || Candidates {
            of_similar_identity: vec![ann()],
            of_address: vec![],
            holder: Some(ann()),
            ..Candidates::default()
        };
        assert_eq!(name(&decide(&settings(), &arrival("google", true), all())), "link");
        let unverified = decide(&settings(), &arrival("google", false), all());
        assert_eq!((name(&unverified), unverified.address.as_str()), ("create", ""));
        let mut careful = settings();
        careful.external.automatic_linking = false;
        assert_eq!(name(&decide(&careful, &arrival("google", true), all())), "apart");
    }

    #[test]
    fn a_claimed_address_of_somebodys_identity_does_not_draw_others_in() {
        let mallory = user("mallory@x.dev", json!([["spotify", "1", "ann@x.dev", false]]));
        let found = Candidates { of_similar_identity: vec![mallory], ..Candidates::default() };
        assert_eq!(name(&decide(&settings(), &arrival("google", true), found)), "create");
        let ann = user("other@x.dev", json!([["github", "1", "ann@x.dev", true]]));
        let found = Candidates { of_similar_identity: vec![ann], ..Candidates::default() };
        assert_eq!(name(&decide(&settings(), &arrival("google", true), found)), "link");
    }

    #[test]
    fn domains_are_kept_apart() {
        let ann = || user("ann@x.dev", json!([["google", "1", "ann@x.dev", true]]));
        let found = || Candidates {
            of_similar_identity: vec![ann()],
            of_address: vec![ann()],
            ..Candidates::default()
        };
        assert_eq!(name(&decide(&settings(), &arrival("sso:1", true), found())), "create");
        let mut apart = settings();
        apart.external.linking_domains.insert("github".to_owned(), "social".to_owned());
        assert_eq!(name(&decide(&apart, &arrival("github", true), found())), "create");
        assert_eq!(name(&decide(&apart, &arrival("gitlab", true), found())), "link");
    }

    #[test]
    fn several_accounts_are_nobodys() {
        let one = || user("", json!([["google", "1", "ann@x.dev", true]]));
        let found = Candidates { of_similar_identity: vec![one(), one()], ..Candidates::default() };
        assert_eq!(name(&decide(&settings(), &arrival("github", true), found)), "several");
    }

    #[test]
    fn another_verified_address_does_not_verify_the_accounts_own() {
        let mallory = user("victim@x.dev", json!([["google", "7", "ann@x.dev", true]]));
        let found = Candidates { of_identity: Some(mallory), ..Candidates::default() };
        let linking = decide(&settings(), &arrival("google", true), found);
        assert_eq!(name(&linking), "exists");
        assert_eq!((linking.address.as_str(), linking.verified), ("victim@x.dev", false));
    }
}
