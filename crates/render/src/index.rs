//! Where components are in a design: whoever asks for one among a thousand, a thousand times, does not look through all.

use model::{ComponentId, Design, Part};
use rustc_hash::FxHashMap;

/// All in the order of the file.
pub struct Index<'d> {
    by_id: FxHashMap<&'d str, &'d Part>,
    by_kind: FxHashMap<&'d str, Vec<&'d Part>>,
    behind: FxHashMap<&'d str, Vec<&'d Part>>,
    needing: FxHashMap<&'d str, Vec<&'d Part>>,
}

impl<'d> Index<'d> {
    pub fn of(design: &'d Design) -> Index<'d> {
        let mut index = Index {
            by_id: FxHashMap::default(),
            by_kind: FxHashMap::default(),
            behind: FxHashMap::default(),
            needing: FxHashMap::default(),
        };
        for part in &design.components {
            index.by_id.entry(part.id.as_str()).or_insert(part);
            index.by_kind.entry(part.kind.name.as_str()).or_default().push(part);
            if let Some(front) = part.text("behind") {
                index.behind.entry(front).or_default().push(part);
            }
            for needed in &part.needs {
                let needing = index.needing.entry(needed.as_str()).or_default();
                // It may be named twice.
                if needing.last().is_none_or(|last| last.id != part.id) {
                    needing.push(part);
                }
            }
        }
        index
    }
    pub fn part(&self, id: &ComponentId) -> Option<&'d Part> {
        self.by_id.get(id.as_str()).copied()
    }
    pub fn of_kind(&self, kind: &str) -> &[&'d Part] {
        self.by_kind.get(kind).map_or(&[], Vec::as_slice)
    }
    /// What stands behind it.
    pub fn behind(&self, id: &ComponentId) -> &[&'d Part] {
        self.behind.get(id.as_str()).map_or(&[], Vec::as_slice)
    }
    /// What needs it.
    pub fn needing(&self, id: &ComponentId) -> &[&'d Part] {
        self.needing.get(id.as_str()).map_or(&[], Vec::as_slice)
    }
}
