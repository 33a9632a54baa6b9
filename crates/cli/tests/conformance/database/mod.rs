//! Databases: what a lease orders of them, and what it hears back.

pub mod modelled;
pub mod order;
pub mod real;
mod server;
