//! Each check, seen to pass and then to object to one thing that was spoilt in what is known.

use std::sync::Arc;

use model::{DatabaseState, Epoch, SiteReport, SyncRecord, Time};

use super::world::*;
use crate::runbook::Check;
use crate::runbook::check::Finding;
use crate::runbook::run::Run;
use crate::watch::Verdict;
use crate::{Request, Workload};

/// A writes, B stands by, and a switchover has begun whose fence has not been answered yet.
struct Known {
    state: Workload,
    run: Run,
    now: Time,
}

fn known() -> Known {
    let mut world = World::established(topology());
    world.script("fence", A, Script::Silence);
    world.ask(Request::Switchover { to: None }, "ada");
    world.run_for(ms(600));
    Known { run: world.run().clone(), now: world.now, state: world.state }
}

impl Known {
    fn finds(&self, check: &Check) -> Finding {
        check.evaluate(&self.state, &self.run, self.now)
    }

    fn report(&mut self, name: &str) -> &mut SiteReport {
        let seen = self.state.watch.sites.get_mut(&site(name)).expect("it reports");
        Arc::make_mut(seen.report.as_mut().expect("a report"))
    }

    fn database(&mut self, name: &str) -> &mut model::DatabaseReport {
        self.report(name).database.as_mut().expect("a database")
    }

    fn silence(&mut self, name: &str) {
        self.state.watch.sites.get_mut(&site(name)).expect("it reports").at = Time::ZERO;
    }

    fn judge(&mut self, name: &str, verdict: Verdict) {
        self.state.verdicts.entry(site(name)).or_default().verdict = verdict;
    }

    fn topology(&mut self) -> &mut model::Topology {
        Arc::make_mut(&mut self.state.topology)
    }

    fn record(&mut self, in_sync: &[&str]) {
        for name in [A, B, W] {
            let in_sync = in_sync.iter().map(|name| site(name)).collect();
            self.report(name).voter.sync = SyncRecord { version: 3, in_sync };
        }
    }
}

fn not_yet(finding: &Finding) -> bool {
    matches!(finding, Finding::NotYet(_))
}
fn never(finding: &Finding) -> bool {
    matches!(finding, Finding::Never(_))
}
fn asks(finding: &Finding) -> bool {
    matches!(finding, Finding::NeedsOverride(_))
}

/// Passes on what is known, and no longer once that is spoilt.
fn objects(check: &Check, what: &str, how: fn(&Finding) -> bool, spoil: impl Fn(&mut Known)) {
    let mut known = known();
    let before = known.finds(check);
    assert!(matches!(before, Finding::Pass(_)), "{check:?} before: {before:?}");
    spoil(&mut known);
    let after = known.finds(check);
    assert!(how(&after), "{check:?}, {what}: {after:?}");
}

#[test]
fn a_site_is_checked_by_its_own_fresh_report() {
    let to = || site(B);
    objects(&Check::Residency { site: to() }, "only A may hold the data", never, |known| {
        known.topology().residency.insert("regulated".into(), vec![site(A)]);
    });
    objects(&Check::Healthy { site: to() }, "it is silent", not_yet, |known| known.silence(B));
    objects(&Check::Artifact { site: to() }, "another release", not_yet, |known| {
        known.report(B).fleets.values_mut().for_each(|fleet| fleet.artifact = "v0".into());
    });
    objects(&Check::Artifact { site: to() }, "no fleet", not_yet, |known| known.report(B).fleets.clear());
    objects(&Check::Secrets { site: to() }, "it is missing", not_yet, |known| {
        known.report(B).secrets.values_mut().for_each(|secret| secret.digest = None);
    });
    objects(&Check::Secrets { site: to() }, "another one", not_yet, |known| {
        known.report(B).secrets.values_mut().for_each(|secret| secret.digest = Some("other".into()));
    });
    objects(&Check::Frozen, "deployments go on", not_yet, |known| known.state.frozen = None);
    for check in [Check::CapacityAlive { site: site(A) }, Check::CapacityReady { site: site(A) }] {
        objects(&check, "one instance less", not_yet, |known| {
            known.report(A).fleets.values_mut().for_each(|fleet| drop(fleet.instances.pop()));
        });
    }
    objects(&Check::CapacityReady { site: site(A) }, "one is not ready", not_yet, |known| {
        known.report(A).fleets.values_mut().for_each(|fleet| fleet.instances[0].ready = false);
    });
    objects(&Check::CapacityReady { site: site(A) }, "a report from before the promotion", not_yet, |known| {
        known.run.committed = Some(known.state.epoch());
        known.state.writer.as_mut().expect("a writer").since = known.now;
    });
}

#[test]
fn a_standby_is_one_that_can_take_over() {
    let check = Check::Standby { site: site(B) };
    objects(&check, "its disk is full", not_yet, |known| known.database(B).full = Some("no space".into()));
    objects(&check, "it is busy", not_yet, |known| {
        known.database(B).state = DatabaseState::Busy { doing: "rewinding".into() };
    });
    objects(&check, "it is silent", not_yet, |known| known.silence(B));
}

#[test]
fn a_writer_writes_in_the_present_epoch_with_its_gate_open() {
    let check = Check::Writing { site: site(A) };
    objects(&check, "its gate is shut", not_yet, |known| match &mut known.database(A).state {
        DatabaseState::Writing { gate, .. } => *gate = false,
        other => panic!("{other:?}"),
    });
    objects(&check, "an older epoch", not_yet, |known| match &mut known.database(A).state {
        DatabaseState::Writing { epoch, .. } => *epoch = Epoch::none(),
        other => panic!("{other:?}"),
    });
    objects(&check, "it stands by", not_yet, |known| known.database(A).state = standby(&site(B)));
    objects(&Check::NoOldWriter { site: site(A) }, "B writes in an older epoch", not_yet, |known| {
        known.database(B).state = writing(&Epoch::none());
    });
}

#[test]
fn replication_is_seen_from_both_ends() {
    let check = Check::Streaming { site: site(B), upstream: site(A) };
    objects(&check, "it receives nothing", not_yet, |known| match &mut known.database(B).state {
        DatabaseState::Standby { receiving, .. } => *receiving = false,
        other => panic!("{other:?}"),
    });
    objects(&check, "it follows another", not_yet, |known| known.database(B).state = standby(&site(W)));
    objects(&check, "the writer sees no standby", not_yet, |known| known.database(A).standbys.clear());
    objects(&check, "it is far behind", not_yet, |known| {
        let max = known.state.topology.timing.max_lag;
        known.database(A).standbys.iter_mut().for_each(|standby| standby.lag = max + ms(1));
    });
}

#[test]
fn a_workload_is_established_only_where_nobody_wrote() {
    let mut world = World::new(topology());
    world.run_for(ms(300));
    world.ask(Request::Establish, "ada");
    let (run, now) = (world.run().clone(), world.now);
    let mut known = Known { state: world.state, run, now };
    assert!(matches!(known.finds(&Check::Unwritten), Finding::Pass(_)));
    let old = known.state.clone();
    known.silence(B);
    assert!(not_yet(&known.finds(&Check::Unwritten)), "of B nothing is known");
    known.state = old;
    known.database(B).written = Epoch::none().next(&site(B));
    assert!(never(&known.finds(&Check::Unwritten)), "B wrote");
}

#[test]
fn a_region_is_left_on_evidence_or_by_people() {
    let check = Check::IncidentScope { site: site(A) };
    let mut known = known();
    for (verdict, expected) in [
        (Verdict::Up, asks as fn(&Finding) -> bool),
        (Verdict::Suspected, not_yet),
        (Verdict::Unknown, not_yet),
        (Verdict::Unreachable, |finding| matches!(finding, Finding::Pass(_))),
    ] {
        known.judge(A, verdict);
        let finding = known.finds(&check);
        assert!(expected(&finding), "{verdict}: {finding:?}");
    }
}

#[test]
fn with_no_loss_allowed_the_voters_record_decides() {
    let check = Check::WithinRpo { from: site(A), to: site(B) };
    let strict = || {
        let mut known = known();
        known.topology().objectives.rpo = ms(0);
        known
    };
    let mut known = strict();
    known.record(&[A, B]);
    assert!(matches!(known.finds(&check), Finding::Pass(_)), "{:?}", known.finds(&check));
    known.record(&[A]);
    assert!(asks(&known.finds(&check)), "B is not in the record");
    for name in [A, W] {
        known.silence(name);
    }
    assert!(not_yet(&known.finds(&check)), "one voter's word is none");
    // The newest record counts: one voter of a majority has missed that B was dropped.
    let mut known = strict();
    known.record(&[A]);
    known.report(W).voter.sync = SyncRecord { version: 2, in_sync: vec![site(A), site(B)] };
    assert!(asks(&known.finds(&check)), "an older record says more");
}

#[test]
fn a_loss_that_nobody_can_tell_is_for_people_to_accept() {
    let check = Check::WithinRpo { from: site(A), to: site(B) };
    let mut known = known();
    known.run.estimate = None;
    known.state.watch.sites.get_mut(&site(A)).expect("it reports").wrote = None;
    assert!(asks(&known.finds(&check)), "{:?}", known.finds(&check));
}
