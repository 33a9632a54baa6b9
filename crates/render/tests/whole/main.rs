//! What holds of everything that is rendered, whatever the services.

mod failover;
mod limits;
mod safe;
mod order;
mod same;
#[path = "../checkers/specs.rs"]
mod specs;
mod systems;
