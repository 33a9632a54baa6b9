//! When a finding is made, for the rows of the table that take more than one key to decide. One small function for each
//! thing that is looked at, in the file of what it knows; each only reads the design and hands in what it found.

mod arithmetic;
mod compute;
mod conflicts;
mod control;
mod data;
mod places;
mod practice;
mod residency;
mod services;
mod traffic;

use super::finding::Found;
use super::view::View;

type Rule = fn(&View<'_>, &mut Vec<Found>);

/// Every rule, in the order of their files.
pub fn all() -> impl Iterator<Item = Rule> {
    [
        arithmetic::RULES,
        compute::RULES,
        conflicts::RULES,
        control::RULES,
        data::RULES,
        places::RULES,
        practice::RULES,
        residency::RULES,
        services::RULES,
        traffic::RULES,
    ]
    .into_iter()
    .flatten()
    .copied()
}
