//! The fences, tried for real: processes are stopped, killed and thawed at the worst moments, links cut one at a time,
//! orders repeated and brought late. Every test has a world of its own (SAFETY.md, "Tests that find such things").

mod controller_killed;
mod crash;
mod freeze;
mod frozen;
mod links;
mod matrix;
mod namespaces;
mod orders;
mod quorum;
mod replay;
mod restored;
mod rpo;
mod site;
mod spaces;
mod table;
mod writer;
