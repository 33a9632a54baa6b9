//! Clients that never ask DNS again, in a planned move: the region that they know is well, but does not write any more.
//! It must tell them so, and never acknowledge anything; they are served again when the writer is back home.

use engine::Request;
use model::Time;

use crate::clients::ClientKind;
use crate::drill::plans;
use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::ledger::{self, History};
use crate::world::{WorldError, wait_for};

pub async fn dns_stuck(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::default();
    let granted = stage.api.request(&Request::Switchover { to: Some(stage.away.clone()) }).await;
    granted.map_err(|error| WorldError::Refused(error.to_string()))?;
    stage.struck(&wound);
    let moved = stage.watcher.wait_for_run(before, RECOVER_WITHIN).await?;
    let stuck = plans::stuck(stage.world, stage.drill);
    wound.note(format!("{} clients keep the old address", stuck.len()));
    stage.recovered_by(moved, &wound).await?;
    let away = ledger::now();
    stage.settle().await;
    let leaving = ledger::now();
    stage.heal(&mut wound).await?;
    stage.return_home().await?;
    served_again(stage).await?;
    told_cleanly(stage, &stuck, away, leaving)
}

/// The pinned clients have writes acknowledged again.
async fn served_again(stage: &Stage<'_>) -> Result<(), WorldError> {
    let progress = stage.ledger.progress();
    let count = || progress.borrow().by_kind.get(&ClientKind::Pinned).map_or(0, |counts| counts.acknowledged);
    let before = count();
    wait_for("acknowledged writes of clients that never left", RECOVER_WITHIN, async || count() > before + 5).await
}

/// While the writer was away, from `away` to `leaving`, each try of a stuck client was refused, and none was left in doubt.
fn told_cleanly(stage: &mut Stage<'_>, stuck: &[String], away: Time, leaving: Time) -> Result<(), WorldError> {
    let history =
        ledger::read(&stage.out.join("ledger.jsonl")).map_err(|error| WorldError::Refused(error.to_string()))?;
    let old = stage.story.old_epoch;
    for client in stuck {
        let tries = Tries::of(&history, client, old, away, leaving);
        let why = format!(
            "{client}: while the writer was away {} tries were refused, {} left in doubt, {} acknowledged",
            tries.refused, tries.doubtful, tries.acknowledged
        );
        let clean = tries.refused > 0 && tries.doubtful == 0 && tries.acknowledged == 0;
        stage.check("stuck clients were refused cleanly", clean, why);
        let out = tries.out(stage.story.fault_at.unwrap_or(away));
        let why = out.map_or(format!("{client} was never served again"), |out| {
            format!("{client} was out for {}", model::time::human(out))
        });
        stage.check("stuck clients were served again at home", out.is_some(), why);
    }
    Ok(())
}

/// What one client was told.
struct Tries {
    refused: usize,
    doubtful: usize,
    acknowledged: usize,
    /// The first acknowledgement in a newer epoch.
    back: Option<Time>,
}

impl Tries {
    fn of(history: &History, client: &str, old_epoch: u64, from: Time, to: Time) -> Self {
        let within = |at: Time| from <= at && at <= to;
        let writes: Vec<_> = history.of(client).map(|(_, write)| write).collect();
        let failed: Vec<_> = writes
            .iter()
            .flat_map(|write| &write.failed)
            .filter(|(at, attempt)| within(*at) && within(attempt.started))
            .collect();
        let acknowledged: Vec<_> = writes.iter().filter_map(|write| write.acknowledged()).collect();
        let newer = acknowledged.iter().filter(|(_, said)| said.writer_epoch > old_epoch);
        Self {
            refused: failed.iter().filter(|(_, attempt)| !attempt.unknown).count(),
            doubtful: failed.iter().filter(|(_, attempt)| attempt.unknown).count(),
            acknowledged: acknowledged.iter().filter(|(at, _)| within(*at)).count(),
            back: newer.map(|(at, _)| *at).min(),
        }
    }

    fn out(&self, since: Time) -> Option<std::time::Duration> {
        self.back.map(|back| back.since(since))
    }
}
