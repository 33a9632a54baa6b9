//! States of a database, and receipts, as tests want them.

use std::time::Duration;

use model::*;

use super::world::ms;

pub fn writing(epoch: &Epoch) -> DatabaseState {
    DatabaseState::Writing {
        epoch: epoch.clone(),
        position: Lsn(100),
        remaining: ms(4000),
        lowest_margin: ms(3000),
        gate: true,
    }
}

pub fn standby(upstream: &SiteId) -> DatabaseState {
    DatabaseState::Standby {
        upstream: upstream.clone(),
        receiving: true,
        received: Lsn(100),
        replayed: Lsn(100),
        lag: Duration::ZERO,
    }
}

pub fn receipt(site: &SiteId, epoch: &Epoch) -> Receipt {
    Receipt {
        workload: "case-api".into(),
        site: site.clone(),
        epoch: epoch.clone(),
        end: Some(Lsn(100)),
        signature: "signed".into(),
    }
}
