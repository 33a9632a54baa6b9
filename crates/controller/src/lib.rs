//! The durable shell around the engine, and what every process of Antipode shares to talk to the others.
//!
//! - [`identity`]: who is who. Certificates, and signed fence receipts.
//! - [`journal`]: what the engine decided, durable before anybody acts on it.
//! - [`rpc`]: HTTP and JSON over mutual TLS; the paths and bodies that agents and controller exchange.
//!
//! The engine decides and does no I/O; everything here does I/O and decides nothing.

pub mod identity;
pub mod journal;
pub mod rpc;
