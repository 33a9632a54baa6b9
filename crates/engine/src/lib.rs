//! engine
pub mod lease;
pub mod writer;
