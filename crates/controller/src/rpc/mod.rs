//! HTTP and JSON over mutual TLS, between agents, controller and operators.
//!
//! [`serve`] admits only holders of a certificate of the workload's authority; the extractors in [`access`] then say
//! who may call what. [`PeerClient`] calls one peer at one address and tells apart what certainly did not happen
//! from what may have: the engine must know. [`wire`] names the paths and bodies of an agent.

pub mod access;
mod client;
mod server;
pub mod wire;

pub use access::{FromAgent, FromController, FromOperator, Problem};
pub use client::{AgentClient, CallError, PeerClient};
pub use server::serve;

#[cfg(test)]
mod tests;
