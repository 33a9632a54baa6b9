//! What third parties say of the templates: cfn-lint knows every resource type of every region, checkov what is unsafe.
//!
//! `bin/checkers` installs both; `bin/test` says where they are.

mod availability;
mod commands;
mod delivery;
mod lint;
mod policy;
mod random;
mod recoveries;
mod specs;
mod words;

use std::path::PathBuf;

/// A program of `bin/checkers`.
fn checker(name: &str) -> PathBuf {
    let home = std::env::var_os("ANTIPODE_CHECKERS").map_or_else(default_home, PathBuf::from);
    let program = home.join(name).join("bin").join(name);
    assert!(program.exists(), "{} is missing: run bin/checkers, or bin/test, which does", program.display());
    program
}

fn default_home() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    cache.unwrap_or_else(home).join("antipode/checkers")
}
