//! The game days, one module for each family of disasters: what is broken, and what must come of it.

mod again;
mod app;
mod blocked;
mod gray;
mod lag;
mod link;
mod mistake;
mod names;
mod outage;
mod rebuild;
mod replay;
mod voters;
mod zone;

use model::Topology;

use super::Drill;
use super::stage::Stage;
use crate::world::WorldError;

/// What the drill changes in the workload before it starts.
pub(super) fn prepare(drill: Drill, topology: &mut Topology) {
    if drill == Drill::SlowReplication {
        lag::tighten(topology);
    }
}

/// Rehearses the drill, from the first fault to the first topology.
pub(super) async fn rehearse(drill: Drill, stage: &mut Stage<'_>) -> Result<(), WorldError> {
    match drill {
        Drill::RegionLoss => outage::region_loss(stage).await,
        Drill::RegionPartition => outage::region_partition(stage).await,
        Drill::DatabaseCrash => outage::database_crash(stage).await,
        Drill::ControllerCrash => outage::controller_crash(stage).await,
        Drill::Switchover => outage::switchover(stage).await,
        Drill::ZoneLoss => zone::zone_loss(stage).await,
        Drill::SecretMissing => blocked::secret_missing(stage).await,
        Drill::StandbyTooSmall => blocked::standby_too_small(stage).await,
        Drill::GrayPause => gray::gray_pause(stage).await,
        Drill::Flapping => link::flapping(stage).await,
        Drill::FlappingLong => link::flapping_long(stage).await,
        Drill::DnsStuck => names::dns_stuck(stage).await,
        Drill::LeaseStoreLoss => voters::lease_store_loss(stage).await,
        Drill::SlowReplication => lag::slow_replication(stage).await,
        Drill::DuplicateReplay => replay::duplicate_replay(stage).await,
        Drill::SecondDisaster => again::second_disaster(stage).await,
        Drill::AppStopped => app::app_stopped(stage).await,
        Drill::FullDisk => app::full_disk(stage).await,
        Drill::CorruptedData => mistake::corrupted_data(stage).await,
        Drill::Rebuild => rebuild::rebuild(stage).await,
        Drill::Calm => Err(WorldError::Refused("`antipode bench calm` runs this".into())),
    }
}
