//! Who is who: certificates for every agent, controller and operator, and signed fence receipts.
//!
//! Each workload has its own certificate authority, so a certificate of another workload is a stranger here. A
//! directory holds, for the members whose machine this is:
//!
//! | file | what | keep |
//! |---|---|---|
//! | `ca.pem` | the authority's certificate | everywhere |
//! | `<name>.pem` | a member's certificate; the agents' ones also carry the keys that check receipts | everywhere |
//! | `<name>.key` | that member's private key, mode 0600 | only where the member runs |
//! | `offline/ca.key` | the authority's private key, mode 0600 | **offline**: whoever has it can be anybody |
//!
//! Names are `<site>.agent.antipode`, `controller.antipode` and `<person>.operator.antipode`; they are not in any DNS:
//! clients are told the address beside the name, and the name is what the certificate must say.

mod authority;
mod certificate;
mod receipt;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Person, SiteId, Topology};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use authority::Authority;
pub(crate) use receipt::to_hex;
pub use receipt::{Signer, Verifier};

use certificate::Certificate;

/// The other end of a connection, as its certificate proves it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Peer {
    /// The agent of a site.
    Agent(SiteId),
    Controller,
    /// A person at a command line.
    Operator(Person),
}

impl Peer {
    /// The DNS name in this peer's certificate.
    pub fn name(&self) -> String {
        match self {
            Peer::Agent(site) => format!("{site}.agent.antipode"),
            Peer::Controller => "controller.antipode".to_string(),
            Peer::Operator(person) => format!("{person}.operator.antipode"),
        }
    }

    /// The peer of that name; `None` for a name that is none of ours.
    pub fn from_name(name: &str) -> Option<Peer> {
        if name == "controller.antipode" {
            return Some(Peer::Controller);
        }
        let agent = name.strip_suffix(".agent.antipode").map(|site| Peer::Agent(SiteId::new(site)));
        let peer = agent.or_else(|| name.strip_suffix(".operator.antipode").map(|p| Peer::Operator(Person::new(p))))?;
        peer.fits_a_certificate().then_some(peer)
    }

    /// A site or person becomes part of a DNS name: letters, digits, `-` and `_`, parted by single dots.
    fn fits_a_certificate(&self) -> bool {
        let part = match self {
            Peer::Agent(site) => site.as_str(),
            Peer::Controller => return true,
            Peer::Operator(person) => person.as_str(),
        };
        let label = |l: &str| {
            let ends = !l.starts_with('-') && !l.ends_with('-');
            (1..=63).contains(&l.len()) && ends && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        part.len() <= 200 && part.split('.').all(label)
    }

    /// Everybody whom a workload needs a certificate for: its agents, its controller and its approvers.
    pub fn everybody(topology: &Topology) -> Vec<Peer> {
        let agents = topology.sites.iter().map(|site| Peer::Agent(site.id.clone()));
        let people = topology.approvals.approvers.iter().map(|person| Peer::Operator(person.clone()));
        agents.chain([Peer::Controller]).chain(people).collect()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Agent(site) => write!(f, "the agent of {site}"),
            Peer::Controller => f.write_str("the controller"),
            Peer::Operator(person) => write!(f, "operator {person}"),
        }
    }
}

/// Why a certificate or key cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is not a PEM {what}: {why}", path.display())]
    Unreadable { path: PathBuf, what: &'static str, why: String },
    #[error("the certificate {} is valid from {from} until {until}, not now", path.display())]
    Expired { path: PathBuf, from: String, until: String },
    #[error("the certificate {} was not signed by {}", path.display(), ca.display())]
    Foreign { path: PathBuf, ca: PathBuf },
    #[error("the certificate {} names {found}, not {wanted}", path.display())]
    OtherName { path: PathBuf, found: String, wanted: String },
    #[error("the key {} does not belong to the certificate beside it", path.display())]
    OtherKey { path: PathBuf },
    #[error("`{name}` cannot stand in a certificate's name")]
    BadName { name: String },
    #[error("{} already holds a certificate authority", dir.display())]
    Exists { dir: PathBuf },
    #[error("certificate: {0}")]
    Make(String),
}

impl IdentityError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            IdentityError::File { .. } => "check that `antipode up` has made the certificates, and who may read them",
            IdentityError::Unreadable { .. } => "restore the file, or issue the certificate again",
            IdentityError::Expired { .. } => "check this machine's clock, or issue the certificate again",
            IdentityError::Foreign { .. } => {
                "use the directory of this workload: every workload has its own certificate authority"
            }
            IdentityError::OtherName { .. } | IdentityError::OtherKey { .. } => {
                "copy a member's .pem and .key together, under their own names"
            }
            IdentityError::BadName { .. } => "use letters, digits, `-`, `_` and single dots",
            IdentityError::Exists { .. } => "keep it, or choose an empty directory: all certificates depend on it",
            IdentityError::Make(_) => "report this with the command that you ran",
        }
    }
}

/// A member's certificate and private key, and the authority that it trusts.
pub struct Identity {
    peer: Peer,
    certificate: CertificateDer<'static>,
    ca: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        let (peer, certificate, ca) = (self.peer.clone(), self.certificate.clone(), self.ca.clone());
        Self { peer, certificate, ca, key: self.key.clone_key() }
    }
}

/// The private key stays out of logs.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads and checks the certificate and key of `peer` in `dir`.
    ///
    /// # Errors
    /// When a file is missing or unreadable, or the certificate is expired, foreign, somebody else's or does not fit
    /// its key. Each names the file.
    pub fn load(dir: &Path, peer: &Peer) -> Result<Identity, IdentityError> {
        let path = dir.join(format!("{}.pem", peer.name()));
        let ca = Certificate::read(&dir.join("ca.pem"))?;
        ca.check_time()?;
        let certificate = Certificate::read(&path)?;
        certificate.check_signed_by(&ca)?;
        certificate.check_name(peer)?;
        certificate.check_time()?;
        let key_path = dir.join(format!("{}.key", peer.name()));
        let key = read_key(&key_path)?;
        let pair = receipt::key_pair(&key, &key_path)?;
        certificate.check_key(&pair, &key_path)?;
        Ok(Identity { peer: peer.clone(), certificate: certificate.der, ca: ca.der, key })
    }

    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// A TLS server that refuses whoever has no certificate of this workload's authority.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider.clone()).build();
        let verifier = verifier.map_err(|e| IdentityError::Make(e.to_string()))?;
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let config = builder
            .and_then(|b| {
                b.with_client_cert_verifier(verifier)
                    .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            })
            .map_err(|e| IdentityError::Make(e.to_string()))?;
        Ok(Arc::new(config))
    }

    /// A TLS client that shows its certificate and trusts only this workload's authority.
    pub fn client_config(&self) -> Result<ClientConfig, IdentityError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = self.roots()?;
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|b| {
                b.with_root_certificates(roots)
                    .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())
            })
            .map_err(|e| IdentityError::Make(e.to_string()))
    }

    /// This identity, trusting another's authority: what an intruder with a stolen `ca.pem` has.
    #[cfg(test)]
    pub(crate) fn trusting(self, other: &Identity) -> Identity {
        Identity { ca: other.ca.clone(), ..self }
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, IdentityError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).map_err(|e| IdentityError::Make(e.to_string()))?;
        Ok(Arc::new(roots))
    }
}

/// Who holds this certificate. The TLS layer has already verified it.
pub(crate) fn peer_of(certificate: &CertificateDer<'_>) -> Option<Peer> {
    certificate::names(certificate).iter().find_map(|name| Peer::from_name(name))
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(|source| IdentityError::File { doing: "read", path: path.to_path_buf(), source })
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|e| IdentityError::Unreadable {
        path: path.to_path_buf(),
        what: "private key",
        why: e.to_string(),
    })
}

#[cfg(test)]
mod tests;
