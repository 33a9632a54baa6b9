//! Runbooks, what a deployment would change, and plans of other systems.

mod afterwards;
mod change;
mod import;
mod runbook;
#[path = "../checkers/specs.rs"]
#[allow(dead_code)]
mod specs;
