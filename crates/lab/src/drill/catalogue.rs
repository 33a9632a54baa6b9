//! Every drill there is: its name, what it breaks, and the course that the workload must take.

use model::Topology;
use model::topology::SiteRole;

/// One disaster, or one planned move, that can be rehearsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drill {
    RegionLoss,
    RegionPartition,
    DatabaseCrash,
    ControllerCrash,
    Switchover,
    ZoneLoss,
    SecretMissing,
    StandbyTooSmall,
    GrayPause,
    Flapping,
    FlappingLong,
    DnsStuck,
    LeaseStoreLoss,
    SlowReplication,
    DuplicateReplay,
    SecondDisaster,
    AppStopped,
    FullDisk,
    CorruptedData,
    Rebuild,
    /// Of the benchmark alone.
    Calm,
}

/// What must come of a fault. It decides how recovery is measured and which checks apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    /// The writer is lost: another region takes over, and the drill ends with the failback.
    Failover,
    /// Nothing is broken: the writer moves as people asked, and comes back.
    Move,
    /// The region deals with it: no failover, the same writer in the same epoch.
    Stay,
}

/// Every drill there is, in the order of `drill --all`: what people know best comes first.
pub fn catalogue() -> &'static [Drill] {
    &[
        Drill::RegionLoss,
        Drill::RegionPartition,
        Drill::DatabaseCrash,
        Drill::ControllerCrash,
        Drill::Switchover,
        Drill::ZoneLoss,
        Drill::SecretMissing,
        Drill::StandbyTooSmall,
        Drill::GrayPause,
        Drill::Flapping,
        Drill::FlappingLong,
        Drill::DnsStuck,
        Drill::LeaseStoreLoss,
        Drill::SlowReplication,
        Drill::DuplicateReplay,
        Drill::SecondDisaster,
        Drill::AppStopped,
        Drill::FullDisk,
        Drill::CorruptedData,
        Drill::Rebuild,
    ]
}

impl Drill {
    pub fn name(self) -> &'static str {
        self.card().0
    }
    pub fn what(self) -> &'static str {
        self.card().1
    }
    pub fn course(self) -> Course {
        self.card().2
    }
    /// Why it cannot be carried out with this spec on this machine; `None` when it can.
    pub fn obstacle(self, topology: &Topology) -> Option<String> {
        let zones =
            topology.sites.iter().filter(|site| site.id == *topology.preferred()).map(|site| match &site.role {
                SiteRole::Region { zones, .. } => zones.len(),
                SiteRole::Witness => 0,
            });
        match self {
            Drill::SecretMissing if topology.secrets().next().is_none() => Some("the spec declares no secret".into()),
            Drill::ZoneLoss if zones.sum::<usize>() < 2 => Some(format!("{} has a single zone", topology.preferred())),
            _ => None,
        }
    }
    pub fn named(name: &str) -> Option<Self> {
        catalogue().iter().copied().find(|drill| drill.name() == name)
    }

    /// Name, what happens, and what must come of it.
    fn card(self) -> (&'static str, &'static str, Course) {
        match self {
            Drill::RegionLoss => (
                "region-loss",
                "every process of the writing region is killed and its links fall silent, at once",
                Course::Failover,
            ),
            Drill::RegionPartition => (
                "region-partition",
                "the writing region is cut off but alive, and clients inside it go on writing",
                Course::Failover,
            ),
            Drill::DatabaseCrash => {
                ("database-crash", "the writer's PostgreSQL is killed and cannot be started again", Course::Failover)
            }
            Drill::ControllerCrash => (
                "controller-crash",
                "the writing region is lost, and the controller is killed in the middle of the failover",
                Course::Failover,
            ),
            Drill::Switchover => {
                ("switchover", "the writer moves to the other region as planned, under load", Course::Move)
            }
            Drill::Calm => ("calm", "processors are starved and links blink for less than half a lease", Course::Stay),
            Drill::SecretMissing => (
                "secret-missing",
                "a secret is missing in the other region when the writing region is lost",
                Course::Failover,
            ),
            Drill::StandbyTooSmall => (
                "standby-too-small",
                "the writing region is lost when the other one has no instance left, and new ones start slowly",
                Course::Failover,
            ),
            Drill::ZoneLoss => (
                "zone-loss",
                "every instance in one zone of the writing region is killed, and each new one that starts there",
                Course::Stay,
            ),
            Drill::GrayPause => (
                "gray-pause",
                "the whole writing region is frozen, and thaws after the other one has taken over",
                Course::Failover,
            ),
            Drill::Flapping => (
                "flapping",
                "the writing region's links fall silent again and again, for less than half a lease each time",
                Course::Stay,
            ),
            Drill::FlappingLong => (
                "flapping-long",
                "the writing region's links fall silent again and again, for longer than a lease each time",
                Course::Failover,
            ),
            Drill::DnsStuck => {
                ("dns-stuck", "the writer moves as planned, and some clients never ask DNS again", Course::Move)
            }
            Drill::SlowReplication => (
                "slow-replication",
                "replication falls behind by more than the recovery point objective; then the writing region is lost",
                Course::Failover,
            ),
            Drill::DuplicateReplay => (
                "duplicate-replay",
                "the writing region is lost, and afterwards a client sends a window of its commands again",
                Course::Failover,
            ),
            Drill::SecondDisaster => (
                "second-disaster",
                "the region that took over is lost too, in the middle of the failback",
                Course::Failover,
            ),
            Drill::AppStopped => (
                "app-stopped",
                "no instance of the writing region comes up any more, while its database is well",
                Course::Move,
            ),
            Drill::FullDisk => (
                "full-disk",
                "the disk of the writer's database is full, and stays so until it has moved",
                Course::Move,
            ),
            Drill::CorruptedData => (
                "corrupted-data",
                "a statement overwrites rows in both regions, and the database is restored to just before it",
                Course::Failover,
            ),
            Drill::Rebuild => (
                "rebuild",
                "the writing region is lost with everything that it had, and is built anew from nothing",
                Course::Failover,
            ),
            Drill::LeaseStoreLoss => (
                "lease-store-loss",
                "the witness's voter loses its storage and comes back empty; then the writing region is lost",
                Course::Failover,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drill_has_a_card_of_its_own_and_a_row_in_its_guide() {
        let guide = include_str!("../../../../docs/drills.md");
        for drill in catalogue() {
            assert_eq!(Drill::named(drill.name()), Some(*drill), "{} has a name of its own", drill.name());
            assert!(guide.contains(&format!("\n| `{}` | ", drill.name())), "{} has no row", drill.name());
            assert!(!drill.what().ends_with('.') && drill.what().len() > 20, "{}", drill.what());
        }
    }

    /// The spec names drills without knowing this crate.
    #[test]
    fn the_schedule_of_a_spec_can_name_every_drill() {
        let schema = model::spec::schema();
        let words = schema.pointer("/$defs/Fault/enum").and_then(serde_json::Value::as_array).expect("its words");
        let mut known: Vec<_> = words.iter().filter_map(serde_json::Value::as_str).collect();
        let mut drills: Vec<_> = catalogue().iter().map(|drill| drill.name()).chain(["all"]).collect();
        known.sort_unstable();
        drills.sort_unstable();
        assert_eq!(known, drills);
    }
}
