//! Backups, modelled: a vault beside the witness with one full backup and the log after it, and what a restore does with
//! the data that is there.

use std::sync::Arc;

use engine::writer::{Mode, Writer};
use model::action::Evidence;
use model::backup::{BaseReport, Mark, RestoreTo, VaultReport, WallTime};
use model::{ActError, AttemptId, Lsn, Outcome, RunId, Verb};

use crate::database::{Entry, Server};
use crate::scenario::WITNESS;
use crate::world::{What, World};

/// What the vault holds: a log from its beginning to where it was last archived.
#[derive(Clone, Debug)]
pub struct Vault {
    log: Arc<[Entry]>,
}

/// The data that a restore put aside.
#[derive(Clone, Debug)]
pub struct Aside {
    pub run: RunId,
    pub log: Vec<Entry>,
    copy: bool,
    damaged: bool,
    timeline: u32,
}

impl Vault {
    pub fn of(log: &[Entry]) -> Self {
        Self { log: log.into() }
    }

    /// Told by the witness. Positions are what is asked for here: the moments only keep their order.
    pub fn report(&self, taken_at: &model::SiteId) -> VaultReport {
        let mark = |end: usize| Mark { timeline: 1, lsn: Lsn(end as u64), at: WallTime(end as i64) };
        let base = BaseReport {
            name: "base-1".into(),
            taken_at: taken_at.clone(),
            from: mark(1),
            until: Some(mark(self.log.len())),
            gap: None,
            bytes: 1,
        };
        VaultReport { bases: vec![base], segments: 1, bytes: self.log.len() as u64 }
    }

    /// Whether `report` says how far it reaches.
    pub fn is_as_in(&self, report: &Option<VaultReport>) -> bool {
        report.as_ref().is_some_and(|report| report.bytes == self.log.len() as u64)
    }
}

impl World {
    /// Reads or writes the vault, which takes a while; its agent may die over it.
    pub fn begin_with_vault(&mut self, site: usize, attempt: AttemptId, verb: Verb) {
        let (delay, incarnation) = (self.rng.millis(20, 2_000), self.sites[site].incarnation);
        self.after(delay, What::Vaulted { site, incarnation, attempt, verb: Box::new(verb) });
    }

    pub fn vaulted(&mut self, site: usize, incarnation: u64, attempt: AttemptId, verb: Box<Verb>) {
        let place = &mut self.sites[site];
        if place.incarnation != incarnation || !place.alive || !place.agent_up {
            return;
        }
        if !place.runs() {
            return place.held.push(What::Vaulted { site, incarnation, attempt, verb });
        }
        // One thing at a time is done with the data.
        let busy = place.writer.as_ref().is_some_and(Writer::following);
        let outcome = match *verb {
            _ if busy => Outcome::Failed(ActError::Transient("its data is being replaced by a copy".into())),
            Verb::Archive => self.archived(site),
            Verb::Restore { run, to } => self.restored(site, run, &to),
            Verb::PutBack { run } => self.put_back(site, run),
            other => Outcome::Refused { why: format!("{} is no matter of backups", other.name()) },
        };
        self.attempt_ended(site, attempt, outcome);
    }

    fn reaches_vault(&self, site: usize) -> bool {
        self.sites[WITNESS].runs() && self.net.both(site, WITNESS)
    }

    fn archived(&mut self, site: usize) -> Outcome {
        let place = &self.sites[site];
        // By hand there is no lease.
        let lease = self.heard.is_some() || place.mode() == Some(&Mode::Writing);
        if !lease || place.database.server != Server::Writing {
            return Outcome::Refused { why: "this region does not write: it has nothing to add".into() };
        }
        if !self.reaches_vault(site) || place.database.frozen {
            return Outcome::Failed(ActError::Transient("the vault does not answer".into()));
        }
        let end = place.database.end();
        self.vault = Some(Vault::of(&place.database.log));
        Outcome::Done(Evidence { position: Some(Lsn(end as u64)), ..Evidence::note("the archive is complete") })
    }

    fn restored(&mut self, site: usize, run: RunId, to: &RestoreTo) -> Outcome {
        let reaches = self.reaches_vault(site);
        let place = &self.sites[site];
        if matches!(place.mode(), Some(Mode::Writing | Mode::Bidding(_) | Mode::Opening { .. })) {
            return Outcome::Refused { why: "this region writes, or is about to".into() };
        }
        if place.database.aside.iter().any(|aside| aside.run == run) {
            return Outcome::AlreadyDone(Evidence::note("it was restored"));
        }
        let Some(vault) = self.vault.clone().filter(|_| reaches && !place.database.full) else {
            return Outcome::Failed(ActError::Transient("the vault does not answer, or there is no room".into()));
        };
        let end = match to {
            RestoreTo::Lsn(lsn) => lsn.0 as usize,
            RestoreTo::Time(time) => time.0 as usize,
        };
        if end > vault.log.len() || place.database.server == Server::Writing {
            return Outcome::Refused {
                why: format!("no backup in the vault reaches {to}, or the server still writes"),
            };
        }
        let database = &mut self.sites[site].database;
        database.kill();
        let log = std::mem::replace(&mut database.log, vault.log[..end].to_vec());
        let (copy, damaged) = (std::mem::take(&mut database.copy), std::mem::take(&mut database.damaged));
        let timeline = database.timeline;
        database.aside.push(Aside { run, log, copy, damaged, timeline });
        database.clean_end = None;
        (database.server, database.timeline) = (Server::Stopped, timeline + 1);
        self.say(|| format!("site {site}: restored to {to}"));
        Outcome::Done(Evidence { position: Some(Lsn(end as u64)), ..Evidence::note("restored") })
    }

    fn put_back(&mut self, site: usize, run: RunId) -> Outcome {
        let weak = self.weakness.puts_nothing_back;
        let database = &mut self.sites[site].database;
        let Some(place) = database.aside.iter().position(|aside| aside.run == run) else {
            return Outcome::AlreadyDone(Evidence::note("nothing was restored"));
        };
        if database.server == Server::Writing {
            return Outcome::Refused { why: "the restored database runs already".into() };
        }
        if weak {
            return Outcome::Done(Evidence::note("left as it is"));
        }
        database.kill();
        database.clean_end = None;
        let Aside { log, copy, damaged, timeline, .. } = database.aside.remove(place);
        (database.log, database.copy, database.damaged, database.timeline) = (log, copy, damaged, timeline);
        self.say(|| format!("site {site}: the data of before is in its place"));
        Outcome::Done(Evidence::note("the data of before is in its place"))
    }
}
