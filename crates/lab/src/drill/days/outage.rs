//! The writer is lost as a whole or in part, and another region takes over; and the planned move beside it.

use std::time::Duration;

use engine::{Record, Request};
use model::{RunId, Verb};

use crate::drill::stage::{RECOVER_WITHIN, Stage};
use crate::drill::wound::Wound;
use crate::world::{WorldError, wait_for};

pub async fn region_loss(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::loss(stage.world, &stage.home).await?;
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

pub async fn region_partition(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::partition(stage.world, &stage.home);
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// PostgreSQL is killed and its control file hidden: it cannot start again, and says so. The file is not put back: the
/// region comes back with a new disk, and must be copied anew.
pub async fn database_crash(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::default();
    let data = stage.world.layout.data(&stage.home);
    let hidden = stage.world.layout.root.join("pg_control.lost");
    let failed = |source| WorldError::Start { what: "a database crash".into(), source };
    std::fs::rename(data.join("global/pg_control"), &hidden).map_err(failed)?;
    let gone =
        tokio::task::spawn_blocking(move || drivers::process::kill_directory(&data, Duration::from_secs(5))).await;
    let gone = gone.expect("killing does not panic").map_err(|error| WorldError::Refused(error.to_string()))?;
    wound.killed(gone.killed().len());
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    stage.heal(&mut wound).await?;
    let _ = std::fs::remove_file(hidden);
    stage.return_home().await
}

pub async fn controller_crash(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::loss(stage.world, &stage.home).await?;
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    crash_controller(stage, failover).await?;
    stage.say(&format!("the controller was killed in the middle of {failover} and started again"));
    stage.recovered_by(failover, &wound).await?;
    stage.check("the controller resumed", true, format!("{failover} was finished by the next controller"));
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// SIGKILL once the run has an order under way that matters, then a new controller.
async fn crash_controller(stage: &Stage<'_>, run: RunId) -> Result<(), WorldError> {
    let within = Duration::from_secs(30);
    let ordered = |record: &Record| {
        matches!(record, Record::AttemptStarted { attempt, action, .. }
            if attempt.run == run && matches!(action.verb, Verb::Promote { .. }))
    };
    stage.watcher.wait_for_record(within, ordered).await?;
    let before = stage.watcher.last_seq();
    stage.world.kill_controller().await;
    stage.world.start_controller(&[]).await?;
    // By its own word in the journal: a controller that lives on would finish the run as well, and prove nothing.
    wait_for("a controller that started anew", within, async || {
        let started = |record: &Record| matches!(record, Record::Restarted { .. });
        stage.watcher.lines().iter().any(|(line, record)| line.seq > before && started(record))
    })
    .await
}

pub async fn switchover(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::default();
    let granted = stage.api.request(&Request::Switchover { to: Some(stage.away.clone()) }).await;
    granted.map_err(|error| WorldError::Refused(error.to_string()))?;
    wound.note("a planned switchover was ordered");
    stage.struck(&wound);
    let moved = stage.watcher.wait_for_run(before, RECOVER_WITHIN).await?;
    stage.recovered_by(moved, &wound).await?;
    stage.heal(&mut wound).await?;
    stage.return_home().await
}
