//! An agent without its database: orders of a controller, a voter, a DNS server, a fleet.

pub mod modelled;
pub mod order;
pub mod real;
mod service;
