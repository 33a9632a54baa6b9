//! Identities. Names are newtypes, so that a site is never passed where a component is meant.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $ty:ident) => {
        $(#[$doc])*
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(with = "String")]
        pub struct $ty(Arc<str>);

        impl $ty {
            pub fn new(name: impl AsRef<str>) -> Self {
                Self(Arc::from(name.as_ref()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        // Most names that are compared are one and the same.
        impl PartialEq for $ty {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                let (mine, others) = (self.0.as_bytes(), other.0.as_bytes());
                Arc::ptr_eq(&self.0, &other.0) || (mine.first() == others.first() && mine == others)
            }
        }
        impl Eq for $ty {}
        impl Hash for $ty {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }
        // The order of the names. Every look into a map by name asks it: mostly the very same name, or another letter at
        // the beginning, is the answer.
        impl Ord for $ty {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) {
                    return Ordering::Equal;
                }
                let (mine, others) = (self.0.as_bytes(), other.0.as_bytes());
                let first = mine.first().cmp(&others.first());
                first.then_with(|| mine.cmp(others))
            }
        }
        impl PartialOrd for $ty {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $ty {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

name!(
    /// A failure domain: a region that holds data, or a witness that only votes.
    SiteId
);
name!(
    /// One declared part of the workload: a database, a fleet, a zone file, a secret.
    ComponentId
);
name!(
    /// Somebody who may ask for, approve or abort a run. Proven by a client certificate.
    Person
);

/// One execution of a runbook; numbered from 1 in journal order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run-{}", self.0)
    }
}

/// One try of one step of one run. `step` is the step's position in the runbook; undo steps and
/// housekeeping outside a run (run 0) number on from there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AttemptId {
    pub run: RunId,
    pub step: u32,
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.run, self.step, self.number)
    }
}

/// The number that only grows with each writer. Ordered by number, then by site, so that two sites that
/// pick the same number never hold equal epochs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Epoch {
    pub number: u64,
    pub site: SiteId,
}

impl Epoch {
    /// The epoch below all others: nobody has written yet.
    pub fn none() -> Self {
        // An empty name is shared, and allocates nothing.
        Self { number: 0, site: SiteId(Arc::default()) }
    }
    /// The lowest epoch of `site` above this one.
    pub fn next(&self, site: &SiteId) -> Self {
        Self { number: self.number + 1, site: site.clone() }
    }
    pub fn is_none(&self) -> bool {
        self.number == 0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() { f.write_str("none") } else { write!(f, "{}@{}", self.number, self.site) }
    }
}

/// A position in PostgreSQL's write-ahead log, in bytes. Comparable only within one timeline history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Bytes from `other` up to here; zero when `other` is ahead.
    pub fn since(self, other: Lsn) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// PostgreSQL's own notation, `16/B374D848`.
impl std::str::FromStr for Lsn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| u64::from_str_radix(part, 16).ok().filter(|n| *n <= 0xffff_ffff);
        match text.split_once('/').map(|(hi, lo)| (parse(hi), parse(lo))) {
            Some((Some(hi), Some(lo))) => Ok(Lsn(hi << 32 | lo)),
            _ => Err(format!("`{text}` is not a WAL position such as 16/B374D848")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_order_by_number_then_site() {
        let (a, b) = (SiteId::new("a"), SiteId::new("b"));
        let one = Epoch::none().next(&b);
        assert!(Epoch::none() < one);
        assert!(one < one.next(&a));
        assert!(Epoch::none().next(&a) < one, "same number: the site decides");
    }

    #[test]
    fn lsn_reads_what_it_writes() {
        let lsn = Lsn(0x16_B374_D848);
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert_eq!("16/B374D848".parse(), Ok(lsn));
        assert!("16-B3".parse::<Lsn>().is_err());
    }
}
