//! One certificate file, and what can be wrong with it.

use std::path::{Path, PathBuf};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{IdentityError, Peer};

pub(super) struct Certificate {
    path: PathBuf,
    pub der: CertificateDer<'static>,
    /// Ed25519 public key, 32 bytes.
    pub public_key: Vec<u8>,
}

impl Certificate {
    pub fn read(path: &Path) -> Result<Self, IdentityError> {
        let bad = |why: String| IdentityError::Unreadable { path: path.to_path_buf(), what: "certificate", why };
        let der = CertificateDer::from_pem_slice(&super::read(path)?).map_err(|e| bad(e.to_string()))?;
        let public_key = match X509Certificate::from_der(&der) {
            Ok((_, parsed)) => parsed.public_key().subject_public_key.data.to_vec(),
            Err(error) => return Err(bad(error.to_string())),
        };
        Ok(Self { path: path.to_path_buf(), der, public_key })
    }

    fn parsed(&self) -> X509Certificate<'_> {
        X509Certificate::from_der(&self.der).expect("parsed when it was read").1
    }

    pub fn check_time(&self) -> Result<(), IdentityError> {
        let parsed = self.parsed();
        let valid = parsed.validity();
        if valid.is_valid() {
            return Ok(());
        }
        let (from, until) = (valid.not_before.to_string(), valid.not_after.to_string());
        Err(IdentityError::Expired { path: self.path.clone(), from, until })
    }

    pub fn check_signed_by(&self, ca: &Certificate) -> Result<(), IdentityError> {
        let parsed = self.parsed();
        let signed = parsed.tbs_certificate.as_ref();
        let genuine = UnparsedPublicKey::new(&ED25519, &ca.public_key).verify(signed, &parsed.signature_value.data);
        genuine.map_err(|_| IdentityError::Foreign { path: self.path.clone(), ca: ca.path.clone() })
    }

    pub fn check_name(&self, peer: &Peer) -> Result<(), IdentityError> {
        let (found, wanted) = (names(&self.der), peer.name());
        if found == [wanted.clone()] {
            return Ok(());
        }
        Err(IdentityError::OtherName { path: self.path.clone(), found: found.join(", "), wanted })
    }

    pub fn check_key(&self, pair: &Ed25519KeyPair, key_path: &Path) -> Result<(), IdentityError> {
        if pair.public_key().as_ref() == self.public_key {
            return Ok(());
        }
        Err(IdentityError::OtherKey { path: key_path.to_path_buf() })
    }
}

/// The DNS names in a certificate; none when it cannot be read.
pub(super) fn names(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(der) else { return Vec::new() };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(dns).collect()
}
