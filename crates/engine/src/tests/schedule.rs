use model::topology::DrillSchedule;
use proptest::prelude::*;

use super::*;
use crate::tests::world::topology;

const DAY: u64 = 86_400;
const NOW: u64 = 1_800_000_000;

fn basis(spec: &str, runbook: &str) -> Basis {
    Basis { spec: spec.into(), runbook: runbook.into() }
}

fn entry(drill: &str, days_ago: u64, passed: bool) -> Entry {
    let (drill, report) = (drill.into(), String::new());
    let ended = NOW - days_ago * DAY;
    Entry { drill, ended, passed, rto_seconds: Some(5.0), rpo_seconds: Some(0.0), basis: basis("s", "r"), report }
}

fn monthly(fault: &str) -> DrillSchedule {
    DrillSchedule { fault: fault.into(), every: Duration::from_secs(30 * DAY) }
}

fn one(history: &[Entry], basis: &Basis) -> Standing {
    due(&[monthly("region-loss")], |drill| drill == "region-loss", history, basis, NOW).remove(0).standing
}

#[test]
fn a_drill_is_due_when_it_is_too_old_failed_or_was_never_carried_out() {
    let same = basis("s", "r");
    assert_eq!(one(&[], &same), Standing::Never);
    assert_eq!(one(&[entry("switchover", 1, true)], &same), Standing::Never, "another drill proves nothing of it");
    assert_eq!(one(&[entry("region-loss", 10, true)], &same), Standing::Fresh { next: NOW + 37 * DAY / 2 });
    assert_eq!(one(&[entry("region-loss", 29, true)], &same), Standing::Overdue { since: NOW - DAY / 2 });
    assert_eq!(one(&[entry("region-loss", 1, false), entry("region-loss", 3, true)], &same), Standing::Failed);
    assert!(!one(&[entry("region-loss", 1, true), entry("region-loss", 3, false)], &same).is_due(), "it passed since");
}

#[test]
fn evidence_expires_when_the_spec_or_the_runbook_changes() {
    let history = [entry("region-loss", 1, true)];
    let says = |spec, runbook| one(&history, &basis(spec, runbook)).text(NOW);
    assert_eq!(says("s", "r2"), "due: expired: the runbook changed since");
    assert_eq!(says("s2", "r"), "due: expired: the spec changed since");
    assert_eq!(says("s2", "r2"), "due: expired: the spec and the runbook changed since");
    assert_eq!(says("s", "r"), "proved; next in 27d");
}

#[test]
fn a_weekly_job_does_not_leave_every_other_week_out() {
    let weekly = DrillSchedule { fault: "region-loss".into(), every: Duration::from_secs(7 * DAY) };
    let ended = Entry { ended: NOW - 7 * DAY + 600, ..entry("region-loss", 0, true) };
    assert!(due(&[weekly], |_| true, &[ended], &basis("s", "r"), NOW)[0].standing.is_due());
}

#[test]
fn an_entry_from_the_future_proves_nothing() {
    let ahead = Entry { ended: NOW + 1, ..entry("region-loss", 0, true) };
    assert_eq!(one(&[ahead, entry("region-loss", 1, true)], &basis("s", "r")), Standing::Ahead);
}

#[test]
fn a_drill_that_does_not_exist_is_said_to_be_missing_and_a_round_always_exists() {
    let lines = due(&[monthly("rebuild"), monthly(ALL)], |_| false, &[], &basis("s", "r"), NOW);
    assert_eq!((&lines[0].standing, &lines[1].standing), (&Standing::Missing, &Standing::Never));
    assert!(!Standing::Missing.is_due());
}

#[test]
fn only_what_shapes_a_recovery_changes_the_texts() {
    let texts = |change: fn(&mut Topology)| {
        let mut changed = topology();
        change(&mut changed);
        let changed = Arc::new(changed);
        (spec_text(&changed), runbook_text(&changed))
    };
    let before = texts(|_| ());
    assert!(before.1.contains("promote") && before.1.contains("fence"), "{}", before.1);
    let same = texts(|t| {
        t.artifact = "next".into();
        t.drills.push(monthly(ALL));
    });
    assert_eq!(before, same);
    let lease = texts(|t| t.timing.lease *= 2);
    assert_ne!(before.0, lease.0);
    let people = texts(|t| t.approvals.failover += 1);
    assert!(before.0 != people.0 && before.1 != people.1, "the plan says how many must approve");
}

#[test]
fn a_trend_needs_a_past_and_ignores_noise() {
    assert_eq!(trend(&[5.0, 5.0, 9.0, 9.0]), None);
    assert_eq!(trend(&[5.0, 5.0, 5.2, 5.1, 9.0]), Some(Trend::Steady), "one bad day is no trend");
    assert_eq!(trend(&[5.0, 5.0, 6.2, 6.1, 9.0]), Some(Trend::Worse));
    assert_eq!(trend(&[5.0, 5.0, 3.2, 3.1, 9.0]), Some(Trend::Better));
    assert_eq!(trend(&[0.0, 0.0, 0.05, 0.05, 0.05]), Some(Trend::Steady), "a tenth of a second is nothing");
}

proptest! {
    #[test]
    fn what_is_fresh_becomes_due_just_when_it_says(age in 0..400u64, every in 1..400u64) {
        let line = DrillSchedule { fault: "x".into(), every: Duration::from_secs(every * DAY) };
        let history = [Entry { ended: NOW - age * DAY, ..entry("x", 0, true) }];
        let at = |now| due(std::slice::from_ref(&line), |_| true, &history, &basis("s", "r"), now).remove(0).standing;
        if let Standing::Fresh { next } = at(NOW) {
            prop_assert!(!at(next - 1).is_due() && at(next).is_due());
        } else {
            prop_assert!(age * 20 >= every * 19);
        }
    }
}
