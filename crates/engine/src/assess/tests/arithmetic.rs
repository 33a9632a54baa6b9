//! Times against the RTO, losses against the RPO.

use super::{Case, case, check, only};

pub const CASES: &[Case] = &[
    case(
        "detection-exceeds-rto",
        "objectives: { rto: 5m, rpo: 15m }
components: { web: { kind: aws.asg, alarm: { on: status, period: 300s, evaluations: 2 } } }",
        "objectives: { rto: 5m, rpo: 15m }
components: { web: { kind: aws.asg, alarm: { on: status, period: 60s, evaluations: 2 } } }",
        ("components: { web: { kind: aws.asg, alarm: { period: 5m, evaluations: 6 } } }", false),
    ),
    case(
        "dns-ttl-exceeds-rto",
        "components: { www: { kind: aws.route53, policy: failover, ttl: 31m } }",
        "components: { www: { kind: aws.route53, policy: failover, ttl: 60s } }",
        ("components: { www: { kind: aws.route53, policy: failover, ttl: 30m } }", false),
    ),
    case(
        "clients-outlive-rto",
        "components: { www: { kind: aws.route53, policy: failover, ttl: 60s, clients: { cache: 1h } } }",
        "components: { www: { kind: aws.route53, policy: failover, ttl: 60s, clients: { cache: 2m } } }",
        ("components: { www: { kind: aws.route53, policy: failover, clients: { cache: 30m } } }", false),
    ),
    case(
        "promotion-exceeds-rto",
        "objectives: { rto: 19m, rpo: 1m }
components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
        (
            "objectives: { rto: 20m, rpo: 1m }
components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
            false,
        ),
    ),
    case(
        "scaling-exceeds-rto",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 50%, warm_up: 31m } }",
        "components: { shop: { kind: kubernetes, peak: 10, capacity: 100%, warm_up: 31m } }",
        ("components: { shop: { kind: kubernetes, peak: 10, capacity: 50%, warm_up: 30m } }", false),
    ),
    case(
        "restore-exceeds-rto",
        "components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1h, restore_time: 2h } } }",
        "components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1h, restore_time: 10m } } }",
        (
            "components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1h, restore_time: 30m } } }",
            false,
        ),
    ),
    case(
        "steps-together-exceed-rto",
        "components:
  www: { kind: aws.route53, policy: failover, ttl: 11m }
  db: { kind: database, system_of_record: true, replication: asynchronous }",
        "components:
  www: { kind: aws.route53, policy: failover, ttl: 60s }
  db: { kind: database, system_of_record: true, replication: asynchronous }",
        (
            "components:
  www: { kind: aws.route53, policy: failover, ttl: 10m }
  db: { kind: database, system_of_record: true, replication: asynchronous }",
            false,
        ),
    ),
    case(
        "replication-lag-exceeds-rpo",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, lag: 61s } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, lag: 5s } }",
        ("components: { db: { kind: database, system_of_record: true, replication: asynchronous, lag: 1m } }", false),
    ),
    case(
        "worst-lag-exceeds-rpo",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, rpo_worst: 5m } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, rpo_worst: 30s } }",
        ("components: { db: { kind: database, system_of_record: true, replication: asynchronous, rpo_worst: 1m } }", false),
    ),
    case(
        "asynchronous-cannot-lose-nothing",
        "objectives: { rto: 30m, rpo: 0s }
components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
        "objectives: { rto: 30m, rpo: 0s }
components: { db: { kind: database, system_of_record: true, replication: synchronous } }",
        (
            "objectives: { rto: 30m, rpo: 1ms }
components: { db: { kind: database, system_of_record: true, replication: asynchronous } }",
            false,
        ),
    ),
    case(
        "lag-alarm-above-rpo",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, lag_alarm: 5m } }",
        "components: { db: { kind: database, system_of_record: true, replication: asynchronous, lag_alarm: 30s } }",
        ("components: { db: { kind: database, system_of_record: true, replication: asynchronous, lag_alarm: 1m } }", false),
    ),
    case(
        "backup-interval-exceeds-rpo",
        "objectives: { rto: 4h, rpo: 15m }
components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1d } } }",
        "objectives: { rto: 4h, rpo: 15m }
components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 1d, archive_every: 5m } } }",
        (
            "objectives: { rto: 4h, rpo: 15m }
components: { db: { kind: database, system_of_record: true, replication: none, backup: { every: 15m } } }",
            false,
        ),
    ),
    case(
        "stream-retention-below-recovery",
        "components: { log: { kind: stream, events: { retention: 29m } } }",
        "components: { log: { kind: stream, events: { retention: 7d } } }",
        ("components: { log: { kind: stream, events: { retention: 30m } } }", false),
    ),
    case(
        "measured-rto-exceeds-objective",
        "practice: { failover: { rto_measured: 40m } }",
        "practice: { failover: { rto_measured: 12m } }",
        ("practice: { failover: { rto_measured: 30m } }", false),
    ),
    case(
        "measured-rpo-exceeds-objective",
        "practice: { failover: { rpo_measured: 2m } }",
        "practice: { failover: { rpo_measured: 3s } }",
        ("practice: { failover: { rpo_measured: 1m } }", false),
    ),
];

#[test]
fn times_and_losses_are_compared_with_the_objectives() {
    check(CASES);
}

/// Seed 001: alarms of two periods of 300 s, an RTO under five minutes.
#[test]
fn the_finding_shows_how_it_was_worked_out_and_where_it_stands() {
    let found = only(CASES[0].bad, "detection-exceeds-rto");
    assert_eq!(found.says, "`web` notices a fault after 10m (2 times 5m), the RTO is 5m");
    assert_eq!((found.path.as_str(), found.line), ("components.web.alarm.period", 5));
    assert!(found.blocks);
}

/// Seed 001: daily snapshots, an RPO under fifteen minutes.
#[test]
fn a_copy_of_a_daily_snapshot_is_a_day_old() {
    let found = only(CASES[11].bad, "backup-interval-exceeds-rpo");
    assert_eq!(found.says, "`db` comes back from a backup taken every 24h, the RPO is 15m");
}

#[test]
fn an_objective_of_the_component_goes_before_that_of_the_workload() {
    let own = "components: { db: { kind: database, system_of_record: true, replication: asynchronous, lag: 30s, objectives: { rpo: 10s } } }";
    let found = only(own, "replication-lag-exceeds-rpo");
    assert_eq!(found.says, "`db` is 30s behind, the RPO is 10s");
}

#[test]
fn the_sum_names_its_parts() {
    let found = only(CASES[6].bad, "steps-together-exceed-rto");
    let says = "detection (not known), then the longer of promotion 20m and growing (not known), then cached answers 11m make 31m; the RTO is 30m";
    assert_eq!(found.says, says);
}

/// A backlog may grow for an hour before somebody is woken; the region's own check is what must be quick.
#[test]
fn a_slow_alarm_beside_a_quick_check_is_no_detection() {
    let quick = "{ path: /ready, every: 10s, failures: 3, depth: deep }";
    let slow = "{ on: backlog, period: 1h, evaluations: 2 }";
    let with = |check: &str, alarm: &str| {
        let www = format!("{{ kind: aws.route53, policy: failover, check: {check} }}");
        format!("components: {{ www: {www}, work: {{ kind: aws.sqs, alarm: {alarm} }} }}")
    };
    let late = |fragment: &str| super::ids(fragment).contains("detection-exceeds-rto");
    assert!(!late(&with(quick, slow)));
    assert!(late(&with("{ path: /ready, every: 11m, failures: 3 }", "{ on: errors, period: 1m, evaluations: 2 }")));
    assert!(late(&with("{ depth: deep }", slow)), "nothing else would notice");
}

/// The load balancer sees a dead instance sooner than Route 53 sees a dead region; the move waits for the latter.
#[test]
fn the_sum_counts_the_check_that_moves_the_traffic() {
    let fragment = "objectives: { rto: 2m, rpo: 1m }
components:
  www: { kind: aws.route53, policy: failover, ttl: 60s, check: { path: /, every: 30s, failures: 3 } }
  lb: { kind: aws.alb, check: { path: /, every: 10s, failures: 2 } }";
    let found = only(fragment, "steps-together-exceed-rto");
    assert_eq!(found.numbers["detect"], "1m 30s");
}

/// Aurora PostgreSQL lets the writer wait rather than be further ahead than `rds.global_db_rpo`.
#[test]
fn a_writer_that_waits_bounds_the_loss() {
    let with = |bound: &str| {
        format!("components: {{ db: {{ kind: aws.aurora-global, system_of_record: true, rpo_bound: {bound} }} }}")
    };
    assert_eq!(only(&with("61s"), "worst-lag-exceeds-rpo").numbers["worst"], "1m 1s");
    assert!(!super::ids(&with("60s")).contains("worst-lag-exceeds-rpo"));
}

#[test]
fn a_log_elsewhere_counts_as_a_backup_each_five_minutes_and_one_that_is_lost_as_none() {
    let with = |rpo: &str, sites: &str| {
        format!(
            "objectives: {{ rto: 24h, rpo: {rpo} }}
components: {{ db: {{ kind: database, system_of_record: true, replication: none, backup: {{ every: 1d, point_in_time: true{sites} }} }} }}"
        )
    };
    let fires = |rpo: &str, sites: &str| super::ids(&with(rpo, sites)).contains("backup-interval-exceeds-rpo");
    assert!(fires("4m", ", sites: [eu-central-1]"));
    assert!(!fires("5m", ", sites: [eu-central-1]"));
    assert!(fires("23h", "") && fires("23h", ", sites: [eu-west-1]"), "it stands where the region is lost");
    assert!(!fires("24h", ""));
}
