//! What is granted and what is refused.

use model::glass::{GlassRequest, Word};
use model::time::human;
use model::{DatabaseState, Person, SiteId, Time, Topology};

use super::{Glass, GlassRecord, Open, Said, Scene};
use crate::lease::Terms;
use crate::protocol::Refused;

/// What a person must type to accept what may be lost. It names the newest transaction that is here, which stays the same
/// for as long as nobody sends more: whoever sends more is not lost.
pub fn phrase(scene: &Scene) -> String {
    match &scene.last_commit {
        Some(moment) => format!("lose everything after {moment}"),
        None => "lose an unknown amount".to_owned(),
    }
}

/// Why the glass cannot be broken here now, whoever asks.
pub fn obstacle(topology: &Topology, scene: &Scene) -> Result<(), Refused> {
    let site = &scene.site;
    if !topology.is_region(site) {
        let regions: Vec<_> = topology.regions().map(|region| region.id.as_str()).collect();
        let hint = format!("its regions are {}", regions.join(", "));
        return Err(Refused::new("no-such-site", format!("{site} is no region: it holds no data"), hint));
    }
    if !topology.approved(site) {
        return Err(crate::runbook::plan::not_approved(topology, site));
    }
    if let DatabaseState::Writing { epoch, .. } = &scene.database {
        let why = format!("{site} writes already, in epoch {epoch}");
        return Err(Refused::new("already-there", why, "nothing is to be done"));
    }
    nobody_answers(topology, scene)?;
    if !scene.lacks.is_empty() {
        let lacks: Vec<_> = scene.lacks.iter().map(SiteId::as_str).collect();
        return Err(Refused::new(
            "glass-voter-forgot",
            format!("the voter of {site} lost its storage, and may have promised what it no longer knows"),
            format!("it votes again when it has heard from {}", lacks.join(" and ")),
        ));
    }
    has_data(scene)
}

/// Whoever answers is not lost. Any one of them and this site are a majority of voters.
fn nobody_answers(topology: &Topology, scene: &Scene) -> Result<(), Refused> {
    let region = scene.answered.iter().find(|(site, _)| topology.is_region(site));
    if let Some((other, says)) = region {
        return Err(Refused::new(
            "glass-region-answers",
            format!("{other} answers {}, so it is not lost: {says}", scene.site),
            "fence it first, and ask when it answers no more; with two sites that answer, `antipode failover` may do",
        ));
    }
    if let Some((other, says)) = scene.answered.iter().next() {
        return Err(Refused::new(
            "glass-quorum-reachable",
            format!("{other} answers {}, and the two are a majority of voters: {says}", scene.site),
            "use `antipode failover`, and start the controller first if it is away",
        ));
    }
    let unasked = topology.sites.iter().map(|site| &site.id).filter(|id| **id != scene.site);
    if let Some(unasked) = unasked.into_iter().find(|id| !scene.silent.contains_key(id)) {
        let why = format!("nobody has tried to reach {unasked}");
        return Err(Refused::new("glass-region-answers", why, "ask again"));
    }
    Ok(())
}

fn has_data(scene: &Scene) -> Result<(), Refused> {
    let says = match &scene.database {
        DatabaseState::Standby { upstream, receiving: true, .. } => {
            let why = format!("the database of {} still receives from {upstream}", scene.site);
            return Err(Refused::new(
                "glass-region-answers",
                why,
                "fence it first, and ask when nothing comes any more",
            ));
        }
        DatabaseState::Standby { .. } | DatabaseState::Fenced { .. } => return Ok(()),
        DatabaseState::Absent => "absent".to_owned(),
        DatabaseState::Starting => "still starting".to_owned(),
        DatabaseState::Busy { doing } => doing.clone(),
        DatabaseState::Failed { why, .. } => format!("failed: {why}"),
        DatabaseState::Writing { .. } => "writing".to_owned(),
    };
    Err(Refused::new(
        "target-not-standby",
        format!("the database of {} is no standby: it is {says}", scene.site),
        "it must be a standby, or an old writer that is stopped; ask again when it is",
    ))
}

/// What follows from what `by` asks.
///
/// # Errors
/// Why it cannot be granted; nothing changes then.
pub fn say(
    glass: &Glass,
    topology: &Topology,
    scene: &Scene,
    by: &Person,
    request: &GlassRequest,
    now: Time,
) -> Result<Vec<GlassRecord>, Refused> {
    approver(topology, by)?;
    match request {
        GlassRequest::Break { word, confirm } => {
            let standing = glass.open.as_ref().filter(|open| !expired(open, topology, now));
            own_word(standing, by, *confirm)?;
            obstacle(topology, scene)?;
            meant(topology, scene, word)?;
            let said = Said { by: by.clone(), word: word.clone(), saw: scene.clone(), at: now };
            Ok(match standing {
                Some(open) => vec![GlassRecord::Confirmed { attempt: open.attempt, said }],
                None => {
                    let mut records = expire(glass, topology, now);
                    let (attempt, need) = (glass.last + 1, topology.approvals.glass());
                    records.push(GlassRecord::Opened { attempt, need, said });
                    records
                }
            })
        }
        GlassRequest::Withdraw { attempt, why } => match &glass.open {
            Some(open) if open.attempt == *attempt && !open.ordered => {
                let (by, why) = (Some(by.clone()), why.clone());
                Ok(vec![GlassRecord::Withdrawn { attempt: *attempt, by, why }])
            }
            Some(open) if open.attempt == *attempt => Err(Refused::new(
                "past-commit-point",
                format!("glass-{attempt} is taking its epoch"),
                "it goes only forward; a switchover or failback leads back when the other sites have returned",
            )),
            _ => Err(no_such(glass, *attempt)),
        },
        GlassRequest::Close { attempt, why } => close(glass, by, *attempt, why),
    }
}

fn close(glass: &Glass, by: &Person, attempt: u32, why: &str) -> Result<Vec<GlassRecord>, Refused> {
    match &glass.broken {
        Some(broken) if broken.attempt == attempt && broken.adopted => {
            Ok(vec![GlassRecord::Closed { attempt, by: by.clone(), why: why.to_owned() }])
        }
        Some(broken) if broken.attempt == attempt => Err(Refused::new(
            "glass-still-alone",
            format!("no majority of voters has granted epoch {} yet", broken.epoch),
            "bring the witness or the other region back first, where it can reach this one",
        )),
        _ => Err(no_such(glass, attempt)),
    }
}

fn no_such(glass: &Glass, attempt: u32) -> Refused {
    let stands = match (&glass.open, &glass.broken) {
        (Some(open), _) => format!("glass-{} is open", open.attempt),
        (None, Some(broken)) => format!("glass-{} is broken and not closed", broken.attempt),
        (None, None) => "nothing is open".to_owned(),
    };
    Refused::new(
        "glass-no-such-attempt",
        format!("glass-{attempt} is not open, or waits for nothing like that"),
        stands,
    )
}

fn approver(topology: &Topology, by: &Person) -> Result<(), Refused> {
    let approvers = &topology.approvals.approvers;
    if approvers.contains(by) {
        return Ok(());
    }
    let names: Vec<_> = approvers.iter().map(Person::as_str).collect();
    let why = format!("{by} is not an approver of this workload");
    let hint = format!("approvers are {}; `approvals` in the spec says so", names.join(", "));
    Err(Refused::new("not-an-approver", why, hint))
}

/// Whose word may come now: each person's once, and a second person names the attempt that they agree to.
fn own_word(open: Option<&Open>, by: &Person, confirm: Option<u32>) -> Result<(), Refused> {
    let Some(open) = open else {
        return match confirm {
            None => Ok(()),
            Some(attempt) => Err(Refused::new(
                "glass-no-such-attempt",
                format!("glass-{attempt} is not open: it has ended, has expired, or never was"),
                "leave `--confirm` out to begin a new one; everybody must give their word anew",
            )),
        };
    };
    let attempt = open.attempt;
    if open.ordered || open.agreed() {
        let why = format!("glass-{attempt} has every word that it needs");
        return Err(Refused::new(
            "glass-under-way",
            why,
            "`antipode failover --break-glass --plan` shows how it stands",
        ));
    }
    if open.people().contains(by) {
        return Err(Refused::new(
            "glass-same-person",
            format!("{by} has given their word on glass-{attempt}; another person must give theirs"),
            "two different people, each with a key of their own",
        ));
    }
    match confirm {
        Some(confirmed) if confirmed == attempt => Ok(()),
        _ => Err(Refused::new(
            "glass-not-confirmed",
            format!("glass-{attempt} is open, by the word of {}", open.said[0].by),
            format!("read what was said, and agree to it with `--confirm {attempt}`"),
        )),
    }
}

/// The word says all that it must, of the very state that is seen.
fn meant(topology: &Topology, scene: &Scene, word: &Word) -> Result<(), Refused> {
    if word.why.trim().is_empty() {
        return Err(Refused::new("glass-no-reason", "no reason is given", "say why with `--why`; it is kept"));
    }
    let others: Vec<&SiteId> = topology.sites.iter().map(|site| &site.id).filter(|id| **id != scene.site).collect();
    if let Some(missing) = others.iter().find(|site| !word.fenced.contains_key(**site)) {
        return Err(Refused::new(
            "glass-not-fenced",
            format!("nobody said how {missing} was fenced"),
            format!("fence it, then say how: `--fenced {missing}=powered-off`, `network-cut` or `destroyed`"),
        ));
    }
    if let Some(stranger) = word.fenced.keys().find(|site| !others.contains(site)) {
        let why = format!("{stranger} is not another site of this workload");
        return Err(Refused::new("no-such-site", why, "name every other site, and this one not"));
    }
    if let Some((who, tried)) = word.tried.iter().find(|(_, tried)| tried.answered) {
        return Err(Refused::new(
            "glass-region-answers",
            format!("{who} answers the machine of the one who asks: {}", tried.says),
            "it is not lost; fence it first, and ask when it answers no more",
        ));
    }
    let (wanted, typed) = (phrase(scene), word.loss.trim());
    if typed != wanted {
        return Err(Refused::new(
            "glass-loss-not-typed",
            format!("what may be lost was not typed as it is: {}", at_risk(scene)),
            format!("read it, and type it: `--lose '{wanted}'`"),
        ));
    }
    Ok(())
}

fn at_risk(scene: &Scene) -> String {
    match &scene.last_commit {
        Some(moment) => format!(
            "the newest transaction that is here was committed at {moment}, and everything that was acknowledged after it \
             is lost here"
        ),
        None => "how old the data is that is here cannot be said".to_owned(),
    }
}

fn expired(open: &Open, topology: &Topology, now: Time) -> bool {
    let first = open.said.first().map_or(Time::ZERO, |said| said.at);
    !open.agreed() && now.since(first) >= topology.approvals.word_holds
}

/// An attempt whose first word is too old ends.
pub fn expire(glass: &Glass, topology: &Topology, now: Time) -> Vec<GlassRecord> {
    let old = glass.open.as_ref().filter(|open| expired(open, topology, now));
    let why = format!("the first word is older than {}", human(topology.approvals.word_holds));
    old.map(|open| GlassRecord::Withdrawn { attempt: open.attempt, by: None, why }).into_iter().collect()
}

/// When the epoch may be taken, once all have agreed: a whole promise after the last word, and when this site's own voter
/// is free. A writer that was cut off just before somebody said so has then stopped by itself.
pub fn ready_at(open: &Open, terms: Terms) -> Option<Time> {
    let last = open.said.last().filter(|_| open.agreed())?;
    Some(last.at + terms.promise().max(last.saw.promised))
}

/// The last look, when the wait is over.
pub fn order(glass: &Glass, topology: &Topology, scene: &Scene, now: Time) -> Vec<GlassRecord> {
    let Some(open) = glass.open.as_ref().filter(|open| open.agreed() && !open.ordered) else { return Vec::new() };
    let attempt = open.attempt;
    let typed = open.said.iter().all(|said| said.word.loss.trim() == phrase(scene));
    let why = match obstacle(topology, scene) {
        Err(refused) => refused.why,
        Ok(()) if !typed => format!("what may be lost has changed meanwhile: {}", at_risk(scene)),
        Ok(()) if !scene.promised.is_zero() => {
            format!("this site's voter has promised the lease anew, for another {}", human(scene.promised))
        }
        Ok(()) => return vec![GlassRecord::Ordered { attempt, saw: scene.clone(), at: now }],
    };
    vec![GlassRecord::Withdrawn { attempt, by: None, why }]
}
