//! This site's authoritative DNS server.

pub mod cidr;
pub mod policy;
