//! Timings that hold together: a lease that can be renewed, a fault that can be told from a slow answer.

use std::time::Duration;

use super::Rules;
use crate::spec::problem::Problem;
use crate::time::human;

impl Rules<'_> {
    pub(super) fn timing(&mut self) {
        let t = self.timing.clone();
        let never_zero = [
            ("lease", t.lease),
            ("renew_every", t.renew_every),
            ("renew_timeout", t.renew_timeout),
            ("stop_margin", t.stop_margin),
            ("probe_every", t.probe_every),
            ("probe_timeout", t.probe_timeout),
            ("check_every", t.check_every),
            ("request_timeout", t.request_timeout),
            ("max_lag", t.max_lag),
            ("unready_after", t.unready_after),
        ];
        for (key, _) in never_zero.into_iter().filter(|(_, d)| d.is_zero()) {
            let span = self.at(&["timing", key]);
            self.report(Problem::error("spec-timing", span, format!("`{key}` cannot be zero"), "zero"));
        }
        self.lease_arithmetic();
        self.detection();
        let d = &t.step_deadlines;
        let deadlines = [
            ("check", d.check),
            ("fence", d.fence),
            ("promote", d.promote),
            ("follow", d.follow),
            ("scale", d.scale),
            ("route", d.route),
            ("exercise", d.exercise),
        ];
        for (key, _) in deadlines.into_iter().filter(|(_, d)| d.is_zero()) {
            let span = self.at(&["timing", "deadlines", key]);
            self.report(Problem::error("spec-timing", span, format!("the deadline of `{key}` cannot be zero"), "zero"));
        }
    }

    /// SAFETY.md item 2: what keeps a healthy writer writing, and makes a lost one stop in time.
    fn lease_arithmetic(&mut self) {
        let t = &self.timing;
        let round = t.renew_every + t.renew_timeout;
        let (lease, margin, drift) = (t.lease, t.stop_margin, t.clock_drift_ppm);
        if drift > 100_000 {
            let span = self.at(&["timing", "clock_drift"]);
            let problem = Problem::error("spec-timing", span, "`clock_drift` is out of range", "must be 0% to 10%");
            self.report(problem.hint("clocks that drift apart by more cannot time a lease"));
        }
        if round * 2 >= lease {
            let message = format!(
                "one renewal can take {} (`renew_every` + `renew_timeout`), which is not below half the lease of {}",
                human(round),
                human(lease)
            );
            let hint = "a healthy writer must survive one lost renewal: lengthen `lease`, or renew more often";
            self.clash(&["lease", "renew_every", "renew_timeout"], message, hint);
        }
        // The holder's own deadline is L(1 - drift) - margin from the sending of a renewal.
        let usable = lease.mul_f64(1.0 - f64::from(drift.min(1_000_000)) / 1e6).saturating_sub(margin);
        if usable <= round {
            let message =
                format!("`stop_margin` and `clock_drift` leave {} of a lease of {}", human(usable), human(lease));
            let hint = "the writer would stop before it could renew: shorten `stop_margin`, or lengthen `lease`";
            self.clash(&["stop_margin", "clock_drift", "lease"], message, hint);
        }
    }

    fn detection(&mut self) {
        let t = self.timing.clone();
        let probe = t.probe_every + t.probe_timeout;
        // The try that finds the end of a blip comes after it.
        let blip = t.lease / 2 + t.probe_every;
        if t.suspect_after > t.unreachable_after {
            let (suspect, unreachable) = (human(t.suspect_after), human(t.unreachable_after));
            let message = format!("a site is suspected after {suspect}, later than it is unreachable ({unreachable})");
            self.clash(
                &["suspect_after", "unreachable_after"],
                message,
                "suspicion comes first: shorten `suspect_after`",
            );
        }
        if t.unreachable_after < probe {
            let message = format!(
                "`unreachable_after` of {} is shorter than one probe and its time-out, {}",
                human(t.unreachable_after),
                human(probe)
            );
            let hint = "one lost answer would count as a lost region: lengthen it, or probe more often";
            self.clash(&["unreachable_after", "probe_every", "probe_timeout"], message, hint);
        } else if t.unreachable_after < blip {
            let span = self.first_set(&["unreachable_after", "lease", "probe_every"]);
            let (unreachable, lease) = (human(t.unreachable_after), human(t.lease));
            let message = format!("a region is given up after {unreachable}, within half a lease of {lease}");
            let hint = format!(
                "a blip that the writer survives would move it: make `unreachable_after` at least {}, half of `lease` \
                 + `probe_every`",
                human(blip)
            );
            self.report(Problem::warning("spec-timing", span, message, "faster than a blip").hint(hint));
        }
        if t.stale_after < probe {
            let message = format!("observations are stale after {}, before the next can arrive", human(t.stale_after));
            let hint = format!("make `stale_after` at least `probe_every` + `probe_timeout`, {}", human(probe));
            self.clash(&["stale_after", "probe_every", "probe_timeout"], message, &hint);
        }
        if t.unreachable_after > t.lease {
            let span = self.first_set(&["unreachable_after", "lease"]);
            let (unreachable, lease) = (human(t.unreachable_after), human(t.lease));
            let message =
                format!("a lost region is detected after {unreachable}, long after its lease of {lease} can lapse");
            let hint = "below `lease`, detection adds nothing to the time of a failover";
            self.report(Problem::warning("spec-timing", span, message, "slower than the lease").hint(hint));
        }
    }

    /// An error at the first of `keys` that the file sets; at `timing` or the file when the profile set them all.
    fn clash(&mut self, keys: &[&str], message: String, hint: &str) {
        let span = self.first_set(keys);
        self.report(Problem::error("spec-timing", span, message, "does not fit the others").hint(hint));
    }

    fn first_set(&self, keys: &[&str]) -> crate::spec::Span {
        let timing = self.tree.get("timing").map(|e| &e.node);
        let set = keys.iter().find(|key| timing.is_some_and(|t| t.get(key).is_some()));
        set.map_or_else(|| self.key(&["timing"]), |key| self.at(&["timing", key]))
    }
}

/// The least that asynchronous replication can promise: what is acknowledged in a cut-off region until its lease
/// lapses, and what was on its way (SAFETY.md item 9).
pub(super) fn asynchronous_floor(timing: &crate::topology::Timing) -> Duration {
    timing.lease + timing.max_lag
}
