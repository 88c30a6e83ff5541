//! Secrets at rest: AES-256-GCM under one master key.
//!
//! A sealed value is one version byte, a random nonce of 12 bytes and the ciphertext with its tag. The place where it
//! is stored (table, column, row) is bound to it, so that a sealed value moved to another row does not open there.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::io::Write;
use std::path::Path;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;

/// Why a secret could not be sealed or opened, or the master key not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(
        "the master key does not open {place}: it is not the key this was sealed with, or the stored value is damaged"
    )]
    WrongKey { place: String },
    #[error(
        "the master key is not the one this data was made with; start with the original key (environment or key file)"
    )]
    NotThisCatalog,
    #[error("the master key must be 32 bytes, written as 64 hexadecimal digits or as base64")]
    Malformed,
    #[error("the key file {path} can be read by others: set its mode to 0600")]
    Exposed { path: String },
    #[error("the key file {path}: {cause}")]
    File {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("no random numbers can be had from the system")]
    Random,
}

/// The place of a sealed value: table, column, row.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    pub row: &'a str,
}

impl Place<'_> {
    fn text(&self) -> String {
        format!("{}.{} of {}", self.table, self.column, self.row)
    }

    /// Lengths come first, so that no two places share bytes.
    fn associated(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in [self.table, self.column, self.row] {
            out.extend((part.len() as u64).to_be_bytes());
            out.extend(part.as_bytes());
        }
        out
    }
}

/// The key that seals everything else. Never printed.
#[derive(Clone)]
pub struct MasterKey {
    cipher: Aes256Gcm,
    /// Where other keys come from.
    root: Hmac<Sha256>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        let keyed =
            |key: &[u8]| <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of every length");
        // The cipher's key is not used for anything else, so the other keys come from one that it is made into.
        let root = keyed(&bytes).chain_update(b"rowhouse derived keys").finalize().into_bytes();
        MasterKey { cipher: Aes256Gcm::new(&Key::<Aes256Gcm>::from(bytes)), root: keyed(&root) }
    }

    /// A key of its own for a place: for secrets that are kept elsewhere than in the catalog.
    pub fn derive(&self, place: Place<'_>) -> [u8; KEY_BYTES] {
        self.root.clone().chain_update(place.associated()).finalize().into_bytes().into()
    }

    /// A key written as 64 hexadecimal digits or as base64.
    ///
    /// # Errors
    /// [`SealError::Malformed`] for anything else.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let bytes = hex::decode(text).or_else(|_| B64.decode(text)).map_err(|_| SealError::Malformed)?;
        <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map(Self::from_bytes).map_err(|_| SealError::Malformed)
    }

    /// The key in a file, which is made, with a new random key and for its owner's eyes only, when missing.
    ///
    /// # Errors
    /// When the file cannot be read or written, is open to others, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        let at = |cause| SealError::File { path: path.display().to_string(), cause };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                refuse_exposed(path)?;
                Self::parse(&text)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let bytes = random::<KEY_BYTES>()?;
                write_private(path, &format!("{}\n", hex::encode(bytes))).map_err(at)?;
                Ok(Self::from_bytes(bytes))
            }
            Err(e) => Err(at(e)),
        }
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    /// Only when the system has no random numbers.
    pub fn seal(&self, plain: &[u8], place: Place<'_>) -> Result<Vec<u8>, SealError> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: plain, aad: &place.associated() };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .expect("AES-GCM refuses only messages of more than 64 GiB");
        Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
    }

    /// Opens a value sealed for this place.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] when key, place or bytes are not what they were.
    pub fn open(&self, sealed: &[u8], place: Place<'_>) -> Result<Vec<u8>, SealError> {
        let wrong = || SealError::WrongKey { place: place.text() };
        let rest = sealed.strip_prefix(&[VERSION]).ok_or_else(wrong)?;
        let (nonce, body) = rest.split_at_checked(NONCE_BYTES).ok_or_else(wrong)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| wrong())?;
        let payload = Payload { msg: body, aad: &place.associated() };
        self.cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| wrong())
    }

    /// Opens a value that was text.
    ///
    /// # Errors
    /// As [`MasterKey::open`].
    pub fn open_text(&self, sealed: &[u8], place: Place<'_>) -> Result<String, SealError> {
        let plain = self.open(sealed, place)?;
        String::from_utf8(plain).map_err(|_| SealError::WrongKey { place: place.text() })
    }
}

/// Random bytes of the system.
///
/// # Errors
/// [`SealError::Random`] when it has none.
pub fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::Random)?;
    Ok(bytes)
}

fn refuse_exposed(path: &Path) -> Result<(), SealError> {
    use std::os::unix::fs::PermissionsExt;
    let shown = || path.display().to_string();
    let meta = std::fs::metadata(path).map_err(|cause| SealError::File { path: shown(), cause })?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(SealError::Exposed { path: shown() });
    }
    Ok(())
}

/// Written aside and renamed, so that a crash leaves no half key.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let aside = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { table: "t", column: "c", row: "1" };

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    #[test]
    fn what_was_sealed_opens_only_with_its_key_and_in_its_place() {
        let sealed = key(1).seal(b"secret", PLACE).unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        assert_eq!(key(1).open(&sealed, PLACE).unwrap(), b"secret");
        let wrong = key(2).open(&sealed, PLACE).unwrap_err().to_string();
        assert!(wrong.contains("master key does not open t.c of 1"), "{wrong}");
        assert!(key(1).open(&sealed, Place { row: "2", ..PLACE }).is_err());
        assert!(key(1).open(&sealed, Place { table: "tc", column: "", ..PLACE }).is_err());
    }

    #[test]
    fn damaged_values_are_refused() {
        let sealed = key(1).seal(b"secret", PLACE).unwrap();
        for cut in 0..sealed.len() {
            assert!(key(1).open(&sealed[..cut], PLACE).is_err());
        }
        let mut flipped = sealed.clone();
        flipped[20] ^= 1;
        assert!(key(1).open(&flipped, PLACE).is_err());
    }

    #[test]
    fn equal_values_seal_differently() {
        assert_ne!(key(1).seal(b"x", PLACE).unwrap(), key(1).seal(b"x", PLACE).unwrap());
    }

    #[test]
    fn keys_are_hex_or_base64_of_32_bytes() {
        assert!(MasterKey::parse(&"ab".repeat(32)).is_ok());
        assert!(MasterKey::parse(&B64.encode([7; 32])).is_ok());
        for bad in ["", "ab", "not a key", &"ab".repeat(31)] {
            assert!(matches!(MasterKey::parse(bad), Err(SealError::Malformed)), "{bad}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("rowhouse-seal-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("key");
        let sealed = MasterKey::load_or_create(&path).unwrap().seal(b"x", PLACE).unwrap();
        assert_eq!(MasterKey::load_or_create(&path).unwrap().open(&sealed, PLACE).unwrap(), b"x");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(SealError::Exposed { .. })));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
