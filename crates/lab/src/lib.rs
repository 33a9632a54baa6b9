//! The real world on one machine: real sites on loopback, real faults, and what they did to real clients.
pub mod bench;
pub mod clients;
pub mod drill;
pub mod evidence;
pub mod experience;
pub mod ledger;
pub mod proxy;
pub mod rehearsals;
pub mod report;
pub mod world;
