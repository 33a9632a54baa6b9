//! The durable shell around the engine, and what every process of Antipode shares to talk to the others.
//!
//! - [`identity`]: who is who. Certificates, and signed fence receipts.
//! - [`rpc`]: HTTP and JSON over mutual TLS; the paths and bodies that agents and controller exchange.
//! - [`journal`]: what the engine decided, durable before anybody acts on it.
//! - [`shell`]: the controller process: polls, decides through the engine, journals, performs.
//! - [`api`]: what operators may ask the controller.
//!
//! The engine decides and does no I/O; everything here does I/O and decides nothing.

pub mod agent;
pub mod api;
pub mod clock;
pub mod identity;
pub mod journal;
pub mod rpc;
pub mod shell;
pub mod tie;
