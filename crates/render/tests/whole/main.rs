//! What holds of everything that is rendered, whatever the services.

mod failover;
mod limits;
mod metrics;
mod observability;
mod order;
#[path = "../checkers/recoveries.rs"]
mod recoveries;
mod safe;
mod same;
#[path = "../checkers/specs.rs"]
mod specs;
mod systems;
mod twins;
mod waves;
#[path = "../checkers/words.rs"]
mod words;
