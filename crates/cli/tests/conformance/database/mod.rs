//! Databases: what a lease orders of them, and what it hears back.

mod disk;
pub mod modelled;
pub mod order;
pub mod real;
mod server;
mod vault;
