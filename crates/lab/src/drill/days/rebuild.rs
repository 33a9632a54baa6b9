//! A region is lost with all that it had, and built again from nothing (seed 001, "Recovery Testing Schedule": a complete
//! rebuild each year): its configuration and its secrets, a copy of the other region's data, and a voter that remembers
//! nothing. What only the lost disks had is gone; nobody can export it, and the ledger lists it.

use std::time::Instant;

use engine::Record;
use model::time::human;
use model::{Outcome, Time, Verb};

use super::voters::promises_again;
use crate::drill::stage::Stage;
use crate::drill::wound::Wound;
use crate::ledger;
use crate::world::WorldError;

pub async fn rebuild(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let home = stage.home.clone();
    let before = stage.brace().await?;
    let mut wound = Wound::loss(stage.world, &home).await?;
    let (files, bytes) = stage.world.wipe_site(&home)?;
    wound.note(format!("{files} files of {} MiB are gone", bytes >> 20));
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    stage.check("everything of the region was lost", files > 0, format!("{files} files of it were removed"));
    stage.say(&format!("{home} is built anew"));
    let (begun, started) = (ledger::now(), Instant::now());
    stage.world.provision_site(&home)?;
    stage.heal(&mut wound).await?;
    stage.return_home().await?;
    copied(stage, begun);
    let votes = promises_again(stage, &home, started).await;
    let why = votes.as_ref().map_or_else(ToString::to_string, |()| format!("{home} promises again"));
    stage.check("its voter votes again", votes.is_ok(), why);
    Ok(())
}

/// The region has its data from the other one, by a copy; and how long that took.
fn copied(stage: &mut Stage<'_>, begun: Time) {
    let lines = stage.watcher.lines();
    let follows = lines.iter().filter_map(|(_, record)| match record {
        Record::AttemptStarted { attempt, action, at, .. }
            if *at >= begun && action.site == stage.home && matches!(action.verb, Verb::Follow { .. }) =>
        {
            Some(*attempt)
        }
        _ => None,
    });
    let follows: Vec<_> = follows.collect();
    let done = lines.iter().find_map(|(_, record)| match record {
        Record::AttemptEnded { attempt, outcome: Outcome::Done(evidence), at, .. } if follows.contains(attempt) => {
            Some((*at, evidence.note.clone()))
        }
        _ => None,
    });
    let whole = done.as_ref().is_some_and(|(_, note)| note.contains("copied anew"));
    let why = done.map_or("it never followed".to_owned(), |(at, note)| {
        let (copied, home) = (human(at.since(begun)), human(ledger::now().since(begun)));
        format!("{note}; it streamed {copied} after its agent started, and wrote and served {home} after")
    });
    stage.check("rebuilt from a copy of the other region", whole, why);
}
