//! The named timing profiles, and the reason for each value.
//!
//! Timings decide between two harms: too short, and a slow network looks like a lost region; too long, and
//! clients wait. The lease decides most of a failover: nobody can be promoted before it has lapsed
//! (SAFETY.md item 1), so detection only has to be done by then, and need not be faster.

use std::time::Duration;

use super::file::{self, Profile};
use crate::topology::{StepDeadlines, Timing};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// For regions apart, round trips up to 100 ms, and the odd retransmission.
fn standard() -> Timing {
    Timing {
        profile: "standard".into(),
        // Four lost renewals in a row before the writer stops; with DNS TTL 1s still within an RTO of seconds.
        lease: s(5),
        renew_every: ms(500),
        // Above two round trips of a distant pair; a lost packet is then retried on a new connection.
        renew_timeout: ms(400),
        // A hundred times worse than a quartz clock: room for a guest whose clock is steered.
        clock_drift_ppm: 10_000,
        // What stopping takes on a loaded machine: the gate's timer, and a byte already on its way.
        stop_margin: ms(200),
        probe_every: ms(250),
        probe_timeout: ms(400),
        // A probe lost, and the next one too.
        suspect_after: ms(700),
        // Beyond a blip of half a lease, with the try that finds its end: that is weather. And well before the lease
        // lapses, so that detection adds nothing to the failover.
        unreachable_after: s(3),
        // Longer than a fleet takes to start all its instances anew: a move helps only if they do not come back.
        unready_after: s(10),
        stale_after: ms(1_500),
        check_every: ms(100),
        // Far beyond what a request takes, and less than a client waits.
        request_timeout: s(5),
        healthy_for: s(3),
        max_lag: s(5),
        step_deadlines: StepDeadlines {
            check: s(15),
            // The old side is often gone: asking longer than a lease gains nothing over waiting for it to lapse.
            fence: s(5),
            promote: s(20),
            // A rewind takes a second; a fresh copy of a small database some more.
            follow: s(60),
            scale: s(20),
            route: s(3),
            // There is no way back past the promotion, and people are slower than this: four requests that hang to their
            // end, as while the fleet finds its new database on a busy machine.
            exercise: s(20),
        },
    }
}

/// For regions a few milliseconds apart on a quiet network, such as one machine.
fn fast() -> Timing {
    Timing {
        profile: "fast".into(),
        lease: s(1),
        renew_every: ms(100),
        renew_timeout: ms(150),
        stop_margin: ms(60),
        probe_every: ms(75),
        probe_timeout: ms(150),
        suspect_after: ms(200),
        unreachable_after: ms(600),
        unready_after: s(4),
        stale_after: ms(500),
        check_every: ms(50),
        request_timeout: s(2),
        healthy_for: s(1),
        max_lag: s(1),
        step_deadlines: StepDeadlines { fence: s(2), route: s(1), exercise: s(8), ..standard().step_deadlines },
        ..standard()
    }
}

/// Every profile's values, by its name.
pub fn profiles() -> [Timing; 2] {
    [standard(), fast()]
}

/// The profile's values, with those of the file over them.
pub(crate) fn timing(file: &file::Timing) -> Timing {
    let base = match file.profile {
        Profile::Standard => standard(),
        Profile::Fast => fast(),
    };
    let set = |value: Option<super::quantity::Length>, default: Duration| value.map_or(default, |v| v.0);
    let d = &base.step_deadlines;
    Timing {
        profile: file.profile.name().into(),
        lease: set(file.lease, base.lease),
        renew_every: set(file.renew_every, base.renew_every),
        renew_timeout: set(file.renew_timeout, base.renew_timeout),
        clock_drift_ppm: file.clock_drift.map_or(base.clock_drift_ppm, |p| (p.0 * 10_000.0).round() as u32),
        stop_margin: set(file.stop_margin, base.stop_margin),
        probe_every: set(file.probe_every, base.probe_every),
        probe_timeout: set(file.probe_timeout, base.probe_timeout),
        suspect_after: set(file.suspect_after, base.suspect_after),
        unreachable_after: set(file.unreachable_after, base.unreachable_after),
        unready_after: set(file.unready_after, base.unready_after),
        stale_after: set(file.stale_after, base.stale_after),
        check_every: set(file.check_every, base.check_every),
        request_timeout: set(file.request_timeout, base.request_timeout),
        healthy_for: set(file.healthy_for, base.healthy_for),
        max_lag: set(file.max_lag, base.max_lag),
        step_deadlines: StepDeadlines {
            check: set(file.deadlines.check, d.check),
            fence: set(file.deadlines.fence, d.fence),
            promote: set(file.deadlines.promote, d.promote),
            follow: set(file.deadlines.follow, d.follow),
            scale: set(file.deadlines.scale, d.scale),
            route: set(file.deadlines.route, d.route),
            exercise: set(file.deadlines.exercise, d.exercise),
        },
    }
}
