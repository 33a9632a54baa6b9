//! Objectives that the rest of the file can meet.

use std::time::Duration;

use super::Rules;
use super::timing::asynchronous_floor;
use crate::spec::file::Component;
use crate::spec::lower::{self, DEFAULT_TTL};
use crate::spec::problem::Problem;
use crate::time::human;
use crate::topology::Replication;

impl Rules<'_> {
    pub(super) fn objectives(&mut self) {
        if self.file.objectives.availability.is_some_and(|p| p.0 >= 100.0 || p.0 <= 0.0) {
            let span = self.at(&["objectives", "availability"]);
            let problem = Problem::error("spec-range", span, "this availability cannot be met", "above 0%, below 100%");
            self.report(problem.hint("`99.95%` allows 22 minutes without service in a month"));
        }
        if self.file.objectives.added_latency.is_some_and(|l| l.0.is_zero()) {
            let span = self.at(&["objectives", "added_latency"]);
            let problem =
                Problem::error("spec-range", span, "no two regions are equally far from everybody", "above 0s");
            self.report(problem.hint("`100ms` is the default"));
        }
        if self.to_run {
            self.rpo();
            self.rto();
        }
    }

    fn rpo(&mut self) {
        let rpo = self.file.objectives.rpo();
        let span = self.at(&["objectives", "rpo"]);
        for (name, component) in self.of_kind("postgres") {
            let Component::Postgres { replication, when_alone, .. } = component else { continue };
            let meant = lower::replication(*replication, rpo);
            let declared_at = self.key(&["components", name, "replication"]);
            if meant == Replication::Asynchronous && rpo.is_zero() {
                self.report(
                    Problem::error(
                        "spec-replication",
                        self.at(&["components", name, "replication"]),
                        "asynchronous replication cannot keep an RPO of 0s",
                        "loses what was not yet copied",
                    )
                    .related(span, "nothing may be lost")
                    .hint("use `replication: synchronous`, or accept some loss, as in `rpo: 1m`"),
                );
            } else if meant == Replication::Asynchronous && rpo < asynchronous_floor(&self.timing) {
                self.rpo_below_floor(rpo);
            }
            if meant == Replication::Asynchronous && when_alone.is_some() {
                let problem = Problem::error(
                    "spec-replication",
                    self.key(&["components", name, "when_alone"]),
                    "`when_alone` is for synchronous replication",
                    "has no effect here",
                );
                let hint = "an asynchronous writer never waits for its standby: remove `when_alone`, or replicate synchronously";
                self.report(problem.related(declared_at, "asynchronous").hint(hint));
            }
        }
    }

    fn rpo_below_floor(&mut self, rpo: Duration) {
        let (lease, lag) = (self.timing.lease, self.timing.max_lag);
        let floor = asynchronous_floor(&self.timing);
        let message = format!("asynchronous replication cannot keep an RPO of {}", human(rpo));
        let hint = format!(
            "a cut-off writer is acknowledged for up to its lease ({}), beyond a lag of up to {}: allow `rpo: {}` or \
             more, shorten `timing.lease` or `timing.max_lag`, or use `replication: synchronous`",
            human(lease),
            human(lag),
            human(floor)
        );
        let span = self.at(&["objectives", "rpo"]);
        self.report(Problem::error("spec-rpo-too-small", span, message, format!("below {}", human(floor))).hint(hint));
    }

    fn rto(&mut self) {
        let rto = self.file.objectives.rto();
        let ttl = self.of_kind("dns").find_map(|(_, c)| match c {
            Component::Dns { ttl, .. } => Some(ttl.map_or(DEFAULT_TTL, |l| l.0)),
            _ => None,
        });
        let floor = self.timing.lease + ttl.unwrap_or_default();
        if rto <= floor {
            let message = format!("no failover can end within an RTO of {}", human(rto));
            let hint = format!(
                "the lease ({}) must lapse, and clients remember answers for the TTL ({}): allow more than {}, or \
                 shorten these",
                human(self.timing.lease),
                human(ttl.unwrap_or_default()),
                human(floor)
            );
            let span = self.at(&["objectives", "rto"]);
            self.report(Problem::error("spec-rto-too-small", span, message, "too short").hint(hint));
        }
    }
}
