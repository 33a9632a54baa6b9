//! Secrets of one site: a directory that only its owner may enter, with one file for each secret.
//!
//! A secret leaves this module in two ways only: to the environment of a fleet that needs it ([`SecretStore::get`]), and
//! as a salted digest, by which regions are compared. It has no `Display`, and its `Debug` is redacted, so that
//! it cannot reach a log, a report or an error by accident.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::observe::SecretReport;
use model::{ActError, ComponentId};
use sha2::{Digest, Sha256};

use crate::Secrets;

/// A secret's text. Shows itself to [`SecretValue::expose`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text itself, for the process that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(redacted)")
    }
}

/// Why a secret could not be stored or read. Never holds any part of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("`{0}` cannot be the name of a secret")]
    Name(ComponentId),
    #[error("secret `{0}` is not text in UTF-8 without NUL bytes")]
    Text(ComponentId),
    #[error("secret `{0}` is readable by others than its owner (mode {1:03o})")]
    Exposed(ComponentId, u32),
    #[error("cannot use the secrets in {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// The secrets that a workload declares, as this site holds them.
#[derive(Clone, Debug)]
pub struct SecretStore {
    directory: PathBuf,
    workload: String,
    declared: Vec<ComponentId>,
}

impl SecretStore {
    /// Opens the store, and creates its directory (mode 0700) where there is none. `declared` are the secrets that
    /// [`Secrets::observe`] reports on.
    pub fn open(
        directory: impl Into<PathBuf>,
        workload: impl Into<String>,
        declared: Vec<ComponentId>,
    ) -> Result<Self, SecretError> {
        let store = Self { directory: directory.into(), workload: workload.into(), declared };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&store.directory);
        // A directory that was there already may be open to others.
        made.and_then(|()| fs::set_permissions(&store.directory, Permissions::from_mode(0o700)))
            .map_err(|error| store.failed(error))?;
        Ok(store)
    }

    /// Stores a secret (mode 0600) in place of the one that was there. A crash leaves the old one or the new one.
    pub fn put(&self, id: &ComponentId, value: &SecretValue) -> Result<(), SecretError> {
        let path = self.path(id)?;
        if value.0.contains('\0') {
            return Err(SecretError::Text(id.clone()));
        }
        let write = || -> io::Result<()> {
            let fresh = self.directory.join(format!(".{id}.new"));
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // `create_new`, because the mode applies only to a file that is created here.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(value.0.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|error| self.failed(error))
    }

    /// The secret, or `None` where it is missing. Refuses a file that others may read: it is no longer a secret.
    pub fn get(&self, id: &ComponentId) -> Result<Option<SecretValue>, SecretError> {
        let mut file = match File::open(self.path(id)?) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let mode = file.metadata().map_err(|error| self.failed(error))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed(id.clone(), mode));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| self.failed(error))?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        text.map(|text| Some(SecretValue(text))).ok_or_else(|| SecretError::Text(id.clone()))
    }

    /// SHA-256 of the secret in hexadecimal, salted with the workload's and the component's names, so that equal
    /// secrets under two names do not show as equal.
    pub fn digest(&self, id: &ComponentId) -> Result<Option<String>, SecretError> {
        Ok(self.get(id)?.map(|value| digest(&self.workload, id, &value)))
    }

    fn path(&self, id: &ComponentId) -> Result<PathBuf, SecretError> {
        let name = id.as_str();
        let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if name.is_empty() || name.starts_with('.') || !plain {
            return Err(SecretError::Name(id.clone()));
        }
        Ok(self.directory.join(name))
    }

    fn failed(&self, error: io::Error) -> SecretError {
        SecretError::Io(self.directory.clone(), error)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Each part goes in with its length, so that no two different triples hash the same text.
fn digest(workload: &str, id: &ComponentId, value: &SecretValue) -> String {
    let mut hash = Sha256::new();
    for part in ["antipode secret digest v1", workload, id.as_str(), value.expose()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Secrets for SecretStore {
    async fn observe(&self) -> Result<BTreeMap<ComponentId, SecretReport>, ActError> {
        let report = |id: &ComponentId| match self.digest(id) {
            Ok(digest) => Ok((id.clone(), SecretReport { digest })),
            Err(error @ SecretError::Io(..)) => Err(ActError::Transient(error.to_string())),
            Err(error) => Err(ActError::Permanent(error.to_string())),
        };
        self.declared.iter().map(report).collect()
    }
}
