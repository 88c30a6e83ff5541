//! The router's certificate: the operator's, or one of our own making. Clients ask for encryption, not for proof
//! (`sslmode=require`), so a self-signed certificate serves as PostgreSQL's usual one does.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What clients of PostgreSQL 17 and later name when they begin with TLS at once.
const ALPN: &[u8] = b"postgresql";

/// A certificate that cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", .path.display())]
    Invalid { path: PathBuf, reason: String },
    #[error("cannot make a certificate: {0}")]
    Make(String),
}

/// A certificate chain and its key, ready for use.
#[derive(Clone)]
pub struct Identity {
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity {
    /// Reads PEM files. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read, or certificate and key do not fit together.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
        let invalid = |path: &Path, reason: String| TlsError::Invalid { path: path.to_owned(), reason };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
            .map_err(|e| invalid(certificate, e.to_string()))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| invalid(key, e.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|e| invalid(certificate, e.to_string()))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The certificate `wire.crt` with `wire.key` in this directory, made for these names if it is not there.
    /// Blocks.
    ///
    /// # Errors
    /// When the files cannot be written or read.
    pub fn self_signed(dir: &Path, names: &[String]) -> Result<Identity, TlsError> {
        let (certificate, key) = (dir.join("wire.crt"), dir.join("wire.key"));
        if !certificate.exists() || !key.exists() {
            let made = rcgen::generate_simple_self_signed(names.to_vec())
                .map_err(|e| TlsError::Make(e.to_string()))?;
            write(&key, 0o600, &made.key_pair.serialize_pem())?;
            write(&certificate, 0o644, &made.cert.pem())?;
        }
        Identity::from_files(&certificate, &key)
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

/// Under another name first: a killed process leaves no half of a file.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        if new.exists() {
            fs::remove_file(&new)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|source| TlsError::Io { path: path.to_owned(), source })
}
