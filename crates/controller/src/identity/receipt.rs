//! Fence receipts: signed by the old writer's agent with the key of its certificate, checked by whoever grants or
//! takes the next epoch (SAFETY.md item 5).

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use model::{Receipt, SiteId};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;

use super::certificate::Certificate;
use super::{Identity, IdentityError, Peer};

/// Signs receipts as one member.
pub struct Signer {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub fn new(identity: &Identity) -> Result<Signer, IdentityError> {
        let name = format!("{}.key", identity.peer.name());
        Ok(Signer { pair: key_pair(&identity.key, Path::new(&name))? })
    }

    /// The receipt with its signature filled in. The caller vouches for every word of it.
    pub fn sign(&self, mut receipt: Receipt) -> Receipt {
        let signature = self.pair.sign(receipt.signed_text().as_bytes());
        receipt.signature = to_hex(signature.as_ref());
        receipt
    }
}

/// Checks receipts of one workload against the keys in its agents' certificates.
#[derive(Clone, Debug)]
pub struct Verifier {
    workload: String,
    keys: BTreeMap<SiteId, Vec<u8>>,
}

impl Verifier {
    /// Reads every `<site>.agent.antipode.pem` in `dir`. An expired one still serves: what was signed stays true.
    ///
    /// # Errors
    /// When a certificate there is unreadable, foreign or under another's name: a receipt would then be refused at
    /// the worst moment, so better now.
    pub fn load(dir: &Path, workload: &str) -> Result<Verifier, IdentityError> {
        let ca = Certificate::read(&dir.join("ca.pem"))?;
        let mut keys = BTreeMap::new();
        let failed = |source| IdentityError::File { doing: "list", path: dir.to_path_buf(), source };
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".pem"));
            let Some(peer @ Peer::Agent(_)) = name.and_then(Peer::from_name) else { continue };
            let certificate = Certificate::read(&path)?;
            certificate.check_signed_by(&ca)?;
            certificate.check_name(&peer)?;
            if let Peer::Agent(site) = peer {
                keys.insert(site, certificate.public_key);
            }
        }
        Ok(Verifier { workload: workload.to_string(), keys })
    }

    /// Whether the agent of `receipt.site`, and of this workload, signed exactly this receipt.
    pub fn verify(&self, receipt: &Receipt) -> bool {
        let (Some(key), Some(signature)) = (self.keys.get(&receipt.site), from_hex(&receipt.signature)) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, key);
        receipt.workload == self.workload && key.verify(receipt.signed_text().as_bytes(), &signature).is_ok()
    }
}

pub(super) fn key_pair(key: &PrivateKeyDer<'_>, path: &Path) -> Result<Ed25519KeyPair, IdentityError> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der()).map_err(|e| IdentityError::Unreadable {
        path: path.to_path_buf(),
        what: "Ed25519 private key",
        why: e.to_string(),
    })
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}
