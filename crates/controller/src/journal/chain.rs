//! The chain of hashes from line to line.

use ring::digest::{Context, SHA256, digest};

use crate::identity::to_hex;

/// What the first line follows upon.
pub(super) fn genesis(workload: &str) -> String {
    to_hex(digest(&SHA256, format!("antipode journal v1\n{workload}").as_bytes()).as_ref())
}

/// The columns of one line as they are stored.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub seq: u64,
    pub at: u64,
    pub wall: String,
    pub boot: String,
    pub generation: u64,
    pub record: String,
    pub prev: String,
    pub hash: String,
}

impl Row {
    /// The hash that this line should have. Each part is preceded by its length, so that no two lines read alike.
    pub fn reckon(&self) -> String {
        let (seq, at, generation) = (self.seq.to_string(), self.at.to_string(), self.generation.to_string());
        let mut context = Context::new(&SHA256);
        for part in [&self.prev, &seq, &at, &self.wall, &self.boot, &generation, &self.record] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        to_hex(context.finish().as_ref())
    }
}

/// Follows the chain line by line.
pub(super) struct Walk {
    pub seq: u64,
    pub hash: String,
}

impl Walk {
    pub fn new(workload: &str) -> Self {
        Self { seq: 0, hash: genesis(workload) }
    }

    /// # Errors
    /// The number of the line that is wrong, and how.
    pub fn follow(&mut self, row: &Row) -> Result<(), (u64, String)> {
        let expected = self.seq + 1;
        if row.seq != expected {
            return Err((expected, format!("it is missing; line {} follows", row.seq)));
        }
        if row.prev != self.hash {
            return Err((expected, "it does not follow upon the line before it".to_string()));
        }
        if row.reckon() != row.hash {
            return Err((expected, "its content does not match its hash".to_string()));
        }
        self.seq = row.seq;
        self.hash.clone_from(&row.hash);
        Ok(())
    }
}
