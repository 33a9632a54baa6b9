//! Bounded runs, and teeth: without each guard some seed must find harm.

use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;

fn seeds(first: u64, count: u64) -> Sweep {
    sweep(first, count, &AtomicBool::new(false), &AtomicU64::new(0))
}

#[test]
fn many_disasters_break_no_invariant() {
    let sweep = seeds(1, 300);
    let told = |report: &Report| (report.seed, report.kind, report.shape, report.violations.clone());
    let failed: Vec<_> = sweep.failed.iter().map(told).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(sweep.seeds, 300);
    assert_eq!(sweep.by_kind.len(), Kind::ALL.len(), "every kind is drawn: {:?}", sweep.by_kind);
    assert!(sweep.vacuous * 10 < sweep.seeds, "{} of {} hit nothing", sweep.vacuous, sweep.seeds);
    assert!(sweep.promotions > sweep.seeds && sweep.lost > 0, "{sweep:?}");
}

#[test]
fn a_seed_is_the_same_disaster_every_time() {
    for seed in [3, 71] {
        assert_eq!(trace(seed), trace(seed));
        let (told, silent) = (trace(seed), run(seed));
        assert!(told.trace.len() > 50);
        assert_eq!(Report { trace: vec![], ..told }, silent, "telling changes nothing");
    }
}

/// Which invariant the first of `count` seeds breaks when a guard is taken away, and at which seed.
fn broken_by(weakness: Weakness, count: u64) -> Option<(u64, Vec<&'static str>)> {
    let invariants = |report: &Report| report.violations.iter().map(|v| v.invariant).collect::<Vec<_>>();
    (1..=count)
        .map(|seed| run_with(seed, weakness, false))
        .find(|report| !report.violations.is_empty())
        .map(|report| (report.seed, invariants(&report)))
}

/// Some seed must break one of the invariants that the guard keeps.
fn bites(weakness: Weakness, count: u64, kept: &[&str]) {
    let Some((seed, broken)) = broken_by(weakness, count) else {
        panic!("{weakness:?}: nothing found in {count} seeds")
    };
    println!("{weakness:?}: seed {seed}: {broken:?}");
    assert!(broken.iter().any(|name| kept.contains(name)), "seed {seed}: {broken:?}");
}

const TWO_WRITERS: &[&str] = &["invariant_one_holder", "invariant_one_open_gate", "invariant_no_late_acknowledgement"];

#[test]
fn a_voter_that_forgets_its_promise_is_found() {
    bites(Weakness { voter_forgets: true, ..Weakness::default() }, 1_500, TWO_WRITERS);
}

#[test]
fn a_voter_that_does_not_wait_out_a_promise_is_found() {
    bites(Weakness { voter_in_a_hurry: true, ..Weakness::default() }, 1_500, TWO_WRITERS);
}

#[test]
fn a_gate_that_ignores_the_deadline_is_found() {
    bites(Weakness { gate_without_deadline: true, ..Weakness::default() }, 1_500, TWO_WRITERS);
}

#[test]
fn a_frozen_agent_without_a_watchdog_is_found() {
    bites(Weakness { no_watchdog: true, ..Weakness::default() }, 1_500, TWO_WRITERS);
}

#[test]
fn clocks_that_run_apart_beyond_the_assumption_are_found() {
    bites(Weakness { drift_ppm: Some(500_000), ..Weakness::default() }, 500, TWO_WRITERS);
}

#[test]
fn a_rewind_without_export_is_found() {
    let kept = ["invariant_nothing_discarded_silently"];
    bites(Weakness { no_export: true, ..Weakness::default() }, 500, &kept);
}

#[test]
fn a_promotion_without_a_lease_is_found() {
    bites(
        Weakness { promotes_without_lease: true, ..Weakness::default() },
        100,
        &[
            "invariant_one_holder",
            "invariant_one_open_gate",
            "invariant_no_late_acknowledgement",
            "invariant_writes_only_with_a_lease",
        ],
    );
}

#[test]
fn commits_that_wait_for_nobody_are_found() {
    let kept = ["invariant_promoted_within_rpo"];
    bites(Weakness { waits_for_nobody: true, ..Weakness::default() }, 1_500, &kept);
}

#[test]
fn a_journal_that_forgets_is_found() {
    let kept = ["invariant_state_is_the_fold_of_the_journal"];
    bites(Weakness { journal_forgets: true, ..Weakness::default() }, 200, &kept);
}

#[test]
fn an_old_writer_that_serves_on_its_return_is_found() {
    bites(
        Weakness { serves_on_return: true, ..Weakness::default() },
        300,
        &["invariant_writes_only_with_a_lease", "invariant_one_open_gate", "invariant_no_late_acknowledgement"],
    );
}
