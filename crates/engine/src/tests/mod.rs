//! The engine against small modelled worlds, without any clock of its own.

mod checks;
mod crashes;
mod glass;
mod guards;
mod made;
mod orders;
mod people;
mod plans;
mod properties;
mod restore;
mod service;
mod tables;
mod verdicts;
pub mod world;
