//! Results as a drill makes them, for the tests of their forms.

use model::SiteId;
use model::action::ExportedRows;

use super::*;

fn s(seconds: f64) -> Seconds {
    Seconds::new(seconds)
}
fn a() -> SiteId {
    SiteId::new("ap-southeast-1")
}
fn b() -> SiteId {
    SiteId::new("ap-southeast-3")
}

/// A region lost under asynchronous replication: recovered, with a few acknowledged writes gone, and won back.
pub fn passed() -> DrillResult {
    let lost_ids: Vec<String> = [1203, 1204, 1206, 1207, 1209].map(|n| format!("outside-{n}")).into();
    let audit = Audit { present: 5216, lost: 5, lost_ids: lost_ids.clone(), unknown_present: 2 };
    DrillResult {
        drill: "region-loss".into(),
        verdict: Verdict::Passed,
        reasons: vec!["5 acknowledged writes were lost, within the RPO of 1m: replication is asynchronous".into()],
        workload: "case-api".into(),
        profile: "standard".into(),
        replication: "asynchronous".into(),
        antipode: "0.1.0".into(),
        began: "2026-07-01T09:00:00Z".into(),
        took_seconds: s(58.412),
        rto_seconds: Rto { ttl_honouring: Some(s(5.613)), ttl_stretching: Some(s(12.207)), pinned: None },
        phases_seconds: Phases {
            detect: Some(s(1.51)),
            decide: Some(s(0.012)),
            fence: Some(s(3.42)),
            promote: Some(s(0.287)),
            route: Some(s(0.031)),
            client_observed: Some(s(5.613)),
        },
        writes: Writes {
            acknowledged: 5221,
            refused: 203,
            unknown: 7,
            lost: Some(5),
            lost_ids: lost_ids.clone(),
            after_failover: Some(audit.clone()),
            after_failback: Some(audit),
        },
        exports: vec![Exported {
            site: a(),
            place: "/home/op/case-api/drills/2026-07-01-region-loss/exports/diverged-1-0000000003000110/labelled.jsonl"
                .into(),
            transactions: Some(7),
            rows: Some(ExportedRows { only_here: 18, differs: 0, gone_here: 0, same: 1 }),
            lost_ids: lost_ids.clone(),
            recovered_ids: vec!["stretching-1205".into()],
            unacknowledged_ids: vec!["outside-1211".into()],
            wrong_ids: vec![],
            notes: vec![],
        }],
        objectives: Objectives {
            rto_asked_seconds: s(1800.0),
            rto_measured_seconds: Some(s(5.613)),
            rto_met: true,
            rpo_asked_seconds: s(60.0),
            rpo_measured_seconds: Some(s(0.068)),
            rpo_met: true,
            availability_asked_percent: Some(99.95),
            availability_measured_percent: Some(Percent::new(90.318)),
            unserved_allowed_seconds: Some(s(1296.0)),
            unserved_measured_seconds: Some(s(5.64)),
            availability_met: Some(true),
            added_latency_asked_seconds: s(0.1),
            added_latency_measured_seconds: Some(s(0.004)),
            added_latency_met: true,
        },
        clients: clients(),
        smallest_lease_margin_seconds: Some(s(3.914)),
        checks: vec![
            check(
                "fault hit something",
                true,
                "41 processes killed; 12 links cut: 61 connections silenced, 8412 bytes dropped",
            ),
            check("a client saw it", true, "203 writes refused and 7 unanswered"),
            check("clean-up", true, "no process and no file left"),
        ],
        evidence: "/home/op/case-api/drills/2026-07-01-region-loss/evidence.jsonl".into(),
        seal: Some(Seal {
            lines: 184,
            hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        }),
        timeline: timeline(),
        journal: journal(),
    }
}

/// A failover that never got its fence: nobody writes any more, and clean-up left a process.
pub fn failed() -> DrillResult {
    let mut result = passed();
    result.verdict = Verdict::Failed;
    result.reasons = vec![
        "no write was acknowledged after the fault".into(),
        "run-1 paused for a human: the old writer's lease never lapsed at voter <witness-1>".into(),
        "clean-up left a process: 4121 postgres".into(),
    ];
    result.rto_seconds = Rto::default();
    result.phases_seconds = Phases { detect: Some(s(1.51)), decide: Some(s(0.012)), ..Phases::default() };
    result.writes.lost = None;
    result.exports.clear();
    result.writes.lost_ids.clear();
    result.writes.after_failover = None;
    result.writes.after_failback = None;
    result.objectives.rto_measured_seconds = None;
    result.objectives.rto_met = false;
    result.objectives.rpo_measured_seconds = None;
    result.objectives.rpo_met = false;
    result.objectives.availability_asked_percent = None;
    result.objectives.availability_met = None;
    result.objectives.added_latency_measured_seconds = None;
    result.objectives.added_latency_met = false;
    result.checks[2] = check("clean-up", false, "process 4121 postgres still runs");
    result.timeline.steps.truncate(2);
    result.timeline.steps[1].end = StepEnd::Failed;
    result.timeline.steps[1].to = Some(s(31.5));
    result.timeline.faults.truncate(1);
    result.timeline.faults[0].healed = None;
    for region in &mut result.timeline.writes {
        region.acknowledged.truncate(if region.site == a() { 80 } else { 0 });
    }
    for bucket in 80..result.timeline.failed.len() {
        result.timeline.failed[bucket] = 5;
    }
    result.timeline.lag.retain(|sample| sample.at.get() < 0.0);
    result.journal.truncate(3);
    result
}

fn check(name: &str, passed: bool, why: &str) -> Check {
    Check { name: name.into(), passed, why: why.into() }
}

fn latency(writes: u64, median: f64, p95: f64) -> Latency {
    Latency { writes, median_seconds: s(median), p95_seconds: s(p95) }
}

fn clients() -> Vec<Client> {
    let client = |name: &str, kind, rto, gap, acknowledged, refused, unknown| Client {
        name: name.into(),
        kind,
        place: "outside".into(),
        timeout_seconds: s(0.5),
        rto_seconds: rto,
        longest_gap_seconds: s(gap),
        acknowledged,
        refused,
        unknown,
        availability_percent: Some(Percent::new(100.0 * acknowledged as f64 / (acknowledged + refused + 400) as f64)),
        unserved_seconds: s(gap - 0.02),
        latency_before: Some(latency(200, 0.004, 0.011)),
        latency_after: rto.map(|_| latency(870, 0.008, 0.019)),
        added_latency_seconds: rto.map(|_| s(0.004)),
    };
    vec![
        client("outside", ClientKind::TtlHonouring, Some(s(5.613)), 5.655, 2501, 96, 2),
        client("stretching", ClientKind::TtlStretching, Some(s(12.207)), 12.24, 2102, 107, 3),
        client("pinned", ClientKind::Pinned, None, 41.3, 618, 0, 2),
    ]
}

/// 100 ms buckets from 8 s before the fault.
fn timeline() -> Timeline {
    let noise = |n: usize| (n * 7919 % 5) as u64;
    let writing = |from: f64, to: f64| -> Vec<u64> {
        let at = |n: usize| -8.0 + n as f64 * 0.1;
        (0..560).map(|n| if at(n) >= from && at(n) < to { 9 + noise(n) } else { 0 }).collect()
    };
    let mut home = writing(-8.0, 0.0);
    let back = writing(41.2, 48.0);
    home.iter_mut().zip(back).for_each(|(here, back)| *here += back);
    let failed = (80..560).map(|n| if n < 137 || (490..493).contains(&n) { 3 + noise(n) / 2 } else { 0 });
    let lag = |from: i32, to: i32, site: SiteId, peak: f64| {
        (from..to).map(move |n| {
            let wave = f64::from((n * 37).rem_euclid(11)) / 11.0;
            LagSample {
                at: s(f64::from(n) * 0.25),
                site: site.clone(),
                lag: Some(s(0.004 + wave * peak)),
                bytes: Some(4000),
            }
        })
    };
    let mut samples: Vec<_> = lag(-32, 0, b(), 0.02).collect();
    samples.push(LagSample { at: s(0.0), site: b(), lag: None, bytes: None });
    samples.extend((100..140).map(|n| LagSample {
        at: s(f64::from(n) * 0.25),
        site: a(),
        lag: Some(s(f64::from(140 - n) * 0.03)),
        bytes: Some(90_000),
    }));
    samples.extend(lag(140, 164, a(), 0.02));
    samples.extend(lag(165, 192, b(), 0.02));
    Timeline {
        from: s(-8.0),
        bucket_seconds: s(0.1),
        writes: vec![
            RegionWrites { site: a(), acknowledged: home },
            RegionWrites { site: b(), acknowledged: writing(5.6, 41.0) },
        ],
        failed: vec![0; 80].into_iter().chain(failed).collect(),
        lag: samples,
        faults: vec![FaultMark { at: s(0.0), healed: Some(s(20.0)), name: "region-loss".into() }],
        steps: steps(),
    }
}

fn steps() -> Vec<StepBar> {
    let step = |run: &str, name: &str, site: SiteId, from: f64, to: f64, end| StepBar {
        run: run.into(),
        name: name.into(),
        site,
        from: s(from),
        to: Some(s(to)),
        end,
        commit_point: name == "promote",
        note: String::new(),
    };
    use StepEnd::{Done, Skipped};
    vec![
        step("run-1", "check", b(), 1.522, 1.561, Done),
        step("run-1", "fence", a(), 1.561, 1.563, Skipped),
        step("run-1", "scale", b(), 1.563, 2.102, Done),
        step("run-1", "promote", b(), 1.563, 5.27, Done),
        step("run-1", "exercise", b(), 5.27, 5.344, Done),
        step("run-1", "route", b(), 5.344, 5.375, Done),
        step("run-2", "follow", a(), 22.4, 34.9, Done),
        step("run-2", "caught up", a(), 34.9, 40.2, Done),
        step("run-2", "fence", b(), 40.7, 41.02, Done),
        step("run-2", "promote", a(), 41.02, 41.19, Done),
        step("run-2", "route", a(), 41.19, 41.22, Done),
        step("run-2", "follow", b(), 41.22, 43.0, Done),
    ]
}

fn journal() -> Vec<JournalLine> {
    let line = |at: f64, what: &str, why: &str| JournalLine { at: s(at), what: what.into(), why: why.into() };
    vec![
        line(0.71, "ap-southeast-1 suspected", "every try from 2 vantage points failed for 700ms"),
        line(1.51, "ap-southeast-1 unreachable", "2 of 2 other sites failed for 1.5s; the lease is lapsing"),
        line(1.522, "run-1 failover to ap-southeast-3 started", "automatic; estimated loss 80ms, within the RPO of 1m"),
        line(5.27, "epoch 2@ap-southeast-3 acquired", "granted by ap-southeast-3 and witness-1"),
        line(5.375, "run-1 ended", "all post-checks passed"),
        line(41.22, "run-2 failback to ap-southeast-1 ended", "nothing lost: receipt at 0/5A3C2F8"),
    ]
}
