//! The data that an authenticator signs.

use crate::cose::PublicKey;
use crate::{Error, RelyingParty, cbor, same, sha256};

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

/// The longest id that a credential may have.
pub(crate) const ID_BYTES_MAX: usize = 1023;

/// What the authenticator says about itself and its owner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AuthenticatorData<'a> {
    flags: u8,
    pub(crate) counter: u32,
    pub(crate) credential: Option<NewCredential<'a>>,
}

/// A credential that was made just now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewCredential<'a> {
    pub(crate) aaguid: [u8; 16],
    pub(crate) id: &'a [u8],
    /// The key as it was written.
    pub(crate) key_bytes: &'a [u8],
    pub(crate) key: PublicKey,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads the data and checks that it is for this relying party, from somebody who was there.
    pub(crate) fn read(bytes: &'a [u8], party: &RelyingParty) -> Result<Self, Error> {
        let (party_hash, rest) = bytes.split_at_checked(32).ok_or(Error::Form)?;
        let (head, rest) = rest.split_at_checked(5).ok_or(Error::Form)?;
        let (flags, counter) = (head[0], u32::from_be_bytes([head[1], head[2], head[3], head[4]]));
        let (credential, rest) = match flags & ATTESTED {
            0 => (None, rest),
            _ => NewCredential::read(rest).map(|(credential, rest)| (Some(credential), rest))?,
        };
        let rest = match flags & EXTENDED {
            0 => rest,
            _ => cbor::read(rest)?.1,
        };
        if !rest.is_empty() {
            return Err(Error::Form);
        }
        let data = AuthenticatorData { flags, counter, credential };
        data.check(party_hash, party)?;
        Ok(data)
    }

    fn check(&self, party_hash: &[u8], party: &RelyingParty) -> Result<(), Error> {
        if !same(party_hash, &sha256(party.id.as_bytes())) {
            return Err(Error::RelyingParty);
        }
        if !self.has(USER_PRESENT) {
            return Err(Error::NotPresent);
        }
        if party.requires_verification && !self.is_verified() {
            return Err(Error::NotVerified);
        }
        if self.is_backed_up() && !self.is_backup_eligible() {
            return Err(Error::Flags);
        }
        Ok(())
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn is_verified(&self) -> bool {
        self.has(USER_VERIFIED)
    }

    pub(crate) fn is_backup_eligible(&self) -> bool {
        self.has(BACKUP_ELIGIBLE)
    }

    pub(crate) fn is_backed_up(&self) -> bool {
        self.has(BACKED_UP)
    }
}

impl<'a> NewCredential<'a> {
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let (aaguid, rest) = bytes.split_at_checked(16).ok_or(Error::Form)?;
        let (length, rest) = rest.split_at_checked(2).ok_or(Error::Form)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length == 0 || length > ID_BYTES_MAX {
            return Err(Error::Form);
        }
        let (id, key_on) = rest.split_at_checked(length).ok_or(Error::Form)?;
        let (key, rest) = cbor::read(key_on)?;
        let key = PublicKey::of(&key)?;
        let key_bytes = &key_on[..key_on.len() - rest.len()];
        let aaguid = aaguid.try_into().map_err(|_| Error::Form)?;
        Ok((NewCredential { aaguid, id, key_bytes, key }, rest))
    }
}
