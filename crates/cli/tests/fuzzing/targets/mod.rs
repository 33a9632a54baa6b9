//! What is done with bytes that nobody vouches for, and what must hold whatever they are. A target panics when its
//! promise is broken. The tests here and the coverage-guided programs in `fuzz/` call the same functions.

pub mod dns;
pub mod evidence;
pub mod journal;
pub mod spec;

use std::path::PathBuf;

/// A folder of this process, in memory where the machine has such a place: each input is written to a file.
fn scratch(of: &str) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let below = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = below.join(format!("antipode-fuzz-{of}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the inputs");
    folder
}
