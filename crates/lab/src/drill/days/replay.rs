//! After a failover a client sends a window of its commands again, with the keys that they had: each must have taken
//! effect once, and be answered as it was the first time (seed 003 section 23).

use std::collections::BTreeMap;

use model::Time;

use crate::clients;
use crate::drill::plans;
use crate::drill::stage::Stage;
use crate::drill::wound::Wound;
use crate::ledger::{self, End, Write, WriteId};
use crate::world::WorldError;

/// How many leases before the fault the window begins; it ends with what was sent until the new writer was there.
const LEASES_BEFORE: u32 = 1;
/// How often the whole window is sent.
const TIMES: u32 = 2;

pub async fn duplicate_replay(stage: &mut Stage<'_>) -> Result<(), WorldError> {
    let before = stage.brace().await?;
    let mut wound = Wound::loss(stage.world, &stage.home).await?;
    stage.struck(&wound);
    let failover = stage.run_after(before).await?;
    stage.recovered_by(failover, &wound).await?;
    let from = Time(wound.at.0.saturating_sub((stage.world.topology.timing.lease * LEASES_BEFORE).as_micros() as u64));
    let window = window(stage, from)?;
    stage.say(&format!("{} commands are sent again, {TIMES} times each", window.len()));
    let mut told = Told::default();
    for _ in 0..TIMES {
        replay(stage, &window, &mut told).await?;
    }
    judge(stage, &window, &told).await;
    stage.heal(&mut wound).await?;
    stage.return_home().await
}

/// The cases opened since `from`: commands that took effect, or may have, and the case that was answered, if one was. What was
/// refused for certain is not sent again: it would take effect now, as it may.
fn window(stage: &Stage<'_>, from: Time) -> Result<BTreeMap<WriteId, Option<String>>, WorldError> {
    let history =
        ledger::read(&stage.out.join("ledger.jsonl")).map_err(|error| WorldError::Refused(error.to_string()))?;
    let until = stage.story.until.unwrap_or_else(ledger::now);
    let case = |write: &Write| match &write.end {
        Some((_, End::Acknowledged(said))) => Some(Some(said.case.clone())),
        Some((_, End::Unknown)) => Some(None),
        _ => None,
    };
    let sent = history.writes.iter().filter(|(_, write)| from <= write.sent && write.sent <= until);
    // A transition of a case that the failover lost has nothing to move any more.
    let sent = sent.filter(|(_, write)| write.moves.is_none());
    Ok(sent.filter_map(|(id, write)| Some((id.clone(), case(write)?))).collect())
}

/// What was answered to the window.
#[derive(Default)]
struct Told {
    answered: u64,
    /// The answer that an earlier attempt had stored.
    stored: u64,
    /// Each answered case, by command.
    cases: BTreeMap<WriteId, Vec<String>>,
    failed: Vec<String>,
}

async fn replay(
    stage: &Stage<'_>,
    window: &BTreeMap<WriteId, Option<String>>,
    told: &mut Told,
) -> Result<(), WorldError> {
    let plan = plans::clients(stage.world, stage.drill).into_iter().next();
    let plan = plan.ok_or_else(|| WorldError::Refused("nobody writes".into()))?;
    let ids: Vec<WriteId> = window.keys().cloned().collect();
    let answers = clients::replay(&plan, &ids).await.map_err(|error| WorldError::Refused(error.to_string()))?;
    for (id, answer) in answers {
        match answer {
            Ok(said) => {
                told.answered += 1;
                told.stored += u64::from(said.replayed);
                told.cases.entry(id).or_default().push(said.case);
            }
            Err(why) => told.failed.push(format!("{id}: {why}")),
        }
    }
    Ok(())
}

async fn judge(stage: &mut Stage<'_>, window: &BTreeMap<WriteId, Option<String>>, told: &Told) {
    let sent = window.len() as u64 * u64::from(TIMES);
    let first = told.failed.first().map_or(String::new(), |why| format!(", such as {why}"));
    stage.check(
        "every command of the window was answered again",
        told.failed.is_empty() && told.answered == sent && sent > 0,
        format!("{} of {sent} answered, {} with what was stored{first}", told.answered, told.stored),
    );
    let lost = stage.story.after_failover.as_ref().map(|audit| audit.lost.clone()).unwrap_or_default();
    let differs = told.cases.iter().find(|(id, cases)| {
        let known = window.get(*id).cloned().flatten().filter(|_| !lost.contains(id));
        let first = known.as_ref().or_else(|| cases.first());
        cases.iter().any(|case| Some(case) != first)
    });
    let why = differs.map_or("each answer named the case of the first one".to_owned(), |(id, cases)| {
        format!("{id} was answered with {}", cases.join(", "))
    });
    stage.check("every command got its first answer", differs.is_none() && told.stored > 0, why);
    let audit = stage.audit("after the replay").await;
    let why = audit.as_ref().map_or("the ledger was not compared".to_owned(), |audit| {
        format!("{} of {} took effect twice", audit.duplicates.len(), window.len())
    });
    let once = audit.as_ref().is_some_and(|audit| audit.duplicates.is_empty() && audit.is_consistent());
    stage.check("every command took effect once", once, why);
}
