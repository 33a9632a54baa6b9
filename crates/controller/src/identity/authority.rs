//! The certificate authority of one workload.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};

use super::{IdentityError, Peer};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A member's certificate is renewed yearly, by [`Authority::issue`].
const MEMBER_DAYS: u32 = 365;
/// The authority outlives its members by far: replacing it means replacing every certificate at once.
const AUTHORITY_DAYS: u32 = 10 * 365;
/// Machines whose clock is behind must accept a new certificate at once.
const BACKDATED: Duration = DAY;

/// Signs the certificates of a workload's members. Needed only to add or renew a member: keep its key offline.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority: `dir/ca.pem`, and `dir/offline/ca.key`, which belongs offline.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] when there is one already: replacing it would lock out every member.
    pub fn create(dir: &Path, workload: &str) -> Result<Authority, IdentityError> {
        let key_path = key_path(dir);
        if dir.join("ca.pem").exists() || key_path.exists() {
            return Err(IdentityError::Exists { dir: dir.to_path_buf() });
        }
        let offline = dir.join("offline");
        fs::create_dir_all(&offline).map_err(|source| file_error("create", &offline, source))?;
        let key = new_key()?;
        let mut params = params(workload);
        let now = SystemTime::now();
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + DAY * AUTHORITY_DAYS).into();
        let certificate = params.self_signed(&key).map_err(failed)?;
        write(&key_path, 0o600, &key.serialize_pem())?;
        write(&dir.join("ca.pem"), 0o644, &certificate.pem())?;
        Ok(Authority { dir: dir.to_path_buf(), issuer: Issuer::new(params, key) })
    }

    /// Takes up an authority that [`Authority::create`] made, to add or renew members.
    pub fn open(dir: &Path, workload: &str) -> Result<Authority, IdentityError> {
        let path = key_path(dir);
        let pem = String::from_utf8_lossy(&super::read(&path)?).into_owned();
        let key = KeyPair::from_pem(&pem).map_err(|e| IdentityError::Unreadable {
            path,
            what: "private key",
            why: e.to_string(),
        })?;
        Ok(Authority { dir: dir.to_path_buf(), issuer: Issuer::new(params(workload), key) })
    }

    /// Makes or renews a certificate and key of `peer` in the authority's directory, valid for a year.
    pub fn issue(&self, peer: &Peer) -> Result<(), IdentityError> {
        let now = SystemTime::now();
        self.issue_for(peer, now - BACKDATED, now + DAY * MEMBER_DAYS)
    }

    /// Copies to `to` what the machine of these members needs, and no other member's key: the authority's certificate,
    /// every agent's certificate (they check receipts), and the members' own certificates and keys.
    pub fn bundle(&self, members: &[Peer], to: &Path) -> Result<(), IdentityError> {
        fs::create_dir_all(to).map_err(|source| file_error("create", to, source))?;
        let entries = fs::read_dir(&self.dir).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        for entry in entries.map_err(|source| file_error("list", &self.dir, source))? {
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = members.iter().any(|peer| name.rsplit_once('.').is_some_and(|(stem, _)| stem == peer.name()));
            if name == "ca.pem" || name.ends_with(".agent.antipode.pem") || own {
                let mode = if name.ends_with(".key") { 0o600 } else { 0o644 };
                let text = String::from_utf8_lossy(&super::read(&entry.path())?).into_owned();
                write(&to.join(&name), mode, &text)?;
            }
        }
        Ok(())
    }

    /// As [`Authority::issue`], valid for the given time.
    pub fn issue_for(&self, peer: &Peer, from: SystemTime, until: SystemTime) -> Result<(), IdentityError> {
        let name = peer.name();
        if !peer.fits_a_certificate() {
            return Err(IdentityError::BadName { name });
        }
        let mut params = CertificateParams::new(vec![name.clone()]).map_err(failed)?;
        params.distinguished_name = common_name(&name);
        params.not_before = from.into();
        params.not_after = until.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        write(&self.dir.join(format!("{name}.key")), 0o600, &key.serialize_pem())?;
        write(&self.dir.join(format!("{name}.pem")), 0o644, &certificate.pem())
    }
}

fn key_path(dir: &Path) -> PathBuf {
    dir.join("offline").join("ca.key")
}

fn new_key() -> Result<KeyPair, IdentityError> {
    KeyPair::generate_for(&PKCS_ED25519).map_err(failed)
}

fn failed(error: rcgen::Error) -> IdentityError {
    IdentityError::Make(error.to_string())
}

/// What must be the same at every use of the authority's key: its name, and what it may sign.
fn params(workload: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("antipode authority of {workload}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    dn.push(DnType::CommonName, name);
    dn
}

/// Writes beside the target and renames, so that nobody reads half a file and a key is never readable by others.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), IdentityError> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let _ = fs::remove_file(&fresh);
    let put = || -> std::io::Result<()> {
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    put().map_err(|source| file_error("write", path, source))
}

fn file_error(doing: &'static str, path: &Path, source: std::io::Error) -> IdentityError {
    IdentityError::File { doing, path: path.to_path_buf(), source }
}
