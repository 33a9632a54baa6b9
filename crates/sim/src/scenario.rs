//! Which disaster a seed means: the workload, the people, and what breaks when.

use std::time::Duration;

use engine::Request;
use model::Time;
use serde::Serialize;

use crate::rng::Rng;
use crate::spec::Shape;

/// The disasters, by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Everything in the writer's region dies and its links are silent at once; it comes back later.
    RegionLoss,
    /// The writer's region is cut off but lives, with clients inside.
    RegionPartition,
    /// Single links are cut, one-way or both ways.
    LinkCuts,
    /// An agent is frozen for a while; its database runs on.
    AgentPause,
    /// A whole region is frozen for a while, watchdog and all.
    RegionPause,
    /// A link comes and goes.
    Flapping,
    /// Agents and databases crash, again and again.
    CrashStorm,
    /// The controller is killed at any step of a failover.
    ControllerCrash,
    DatabaseCrash,
    /// A planned switchover, under faults.
    Switchover,
    /// The new region fails during the failback.
    SecondDisaster,
    /// The witness is lost, and something else too.
    WitnessLoss,
    /// What is there but does not work: a frozen server or watchdog, a disk that takes its time.
    Stalls,
    /// Anything, at any time.
    Mixed,
}

impl Kind {
    pub const ALL: [Kind; 14] = [
        Kind::RegionLoss,
        Kind::RegionPartition,
        Kind::LinkCuts,
        Kind::AgentPause,
        Kind::RegionPause,
        Kind::Flapping,
        Kind::CrashStorm,
        Kind::ControllerCrash,
        Kind::DatabaseCrash,
        Kind::Switchover,
        Kind::SecondDisaster,
        Kind::WitnessLoss,
        Kind::Stalls,
        Kind::Mixed,
    ];
}

/// Sites by number: 0 the preferred region, 1 the other, 2 the witness; 3 is where clients outside are.
pub const OUTSIDE: usize = 3;
pub const WITNESS: usize = 2;

#[derive(Clone, PartialEq, Debug)]
pub enum Fault {
    /// Messages from one to the other are lost.
    Cut(usize, usize),
    Mend(usize, usize),
    /// So many in a thousand are lost, one way.
    Lossy(usize, usize, u32),
    /// Cut off from everybody, clients outside too.
    Isolate(usize),
    Rejoin(usize),
    /// Everything in the site is killed.
    Kill(usize),
    Return(usize),
    FreezeAgent(usize),
    ThawAgent(usize),
    FreezeSite(usize),
    ThawSite(usize),
    /// Every process of the database server is stopped; its agent is not.
    FreezeServer(usize),
    ThawServer(usize),
    /// Of the agent's watchdog alone.
    FreezeWatchdog(usize),
    ThawWatchdog(usize),
    /// Whatever must be durable there takes so much longer, from here on.
    SlowDisk(usize, Duration),
    CrashAgent(usize),
    CrashDatabase(usize),
    CrashController,
    /// Messages come late, twice and in another order from here on.
    Noise,
    Ask(Request),
    Abort,
    /// Everything that was broken is mended.
    Heal,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub kind: Kind,
    pub shape: Shape,
    pub faults: Vec<(Time, Fault)>,
    /// When the last of them is mended.
    pub healed: Time,
    /// Whether two people would accept a loss beyond the objective.
    pub accepts_loss: bool,
    /// How long people take to answer.
    pub people: Duration,
    /// Clients inside the preferred region, beside those outside.
    pub inside: bool,
}

/// When the workload is surely established and under load.
pub const BEGIN: Time = Time(9_000_000);

impl Scenario {
    pub fn draw(rng: &mut Rng) -> Self {
        let kind = *rng.pick(&Kind::ALL);
        let shape = match rng.range(0, 16) {
            0..7 => Shape::Automatic,
            7..9 => Shape::Ask,
            9..12 => Shape::Block,
            12..15 => Shape::Degrade,
            _ => Shape::Unapproved,
        };
        let mut script = Script { rng, faults: Vec::new() };
        let start = BEGIN + script.rng.millis(500, 2_000);
        script.noise(start);
        script.write(kind, start);
        let last = script.faults.iter().map(|(at, _)| *at).max().unwrap_or(start);
        let healed = last + script.lasting(1_000, 15_000);
        script.faults.push((healed, Fault::Heal));
        let mut faults = script.faults;
        faults.sort_by_key(|(at, _)| *at);
        let accepts_loss = rng.one_in(3);
        Self { kind, shape, faults, healed, accepts_loss, people: rng.millis(300, 4_000), inside: rng.one_in(2) }
    }
}

impl Scenario {
    /// A disaster written by hand: what breaks, so long after it begins. The same for every shape and every stream of chance.
    #[cfg(test)]
    pub fn told(shape: Shape, faults: &[(Duration, Fault)], healed: Duration) -> Self {
        let mut faults: Vec<_> = faults.iter().map(|(after, fault)| (BEGIN + *after, fault.clone())).collect();
        let healed = BEGIN + healed;
        faults.push((healed, Fault::Heal));
        Self { shape, faults, healed, accepts_loss: true, ..Self::quiet(shape, false) }
    }

    /// The time before, in which nothing befalls anybody.
    pub fn quiet(shape: Shape, inside: bool) -> Self {
        let people = Duration::from_secs(1);
        Self { kind: Kind::Mixed, shape, faults: Vec::new(), healed: Time::MAX, accepts_loss: false, people, inside }
    }
}

/// A list of faults being written.
struct Script<'a> {
    rng: &'a mut Rng,
    faults: Vec<(Time, Fault)>,
}

impl Script<'_> {
    fn add(&mut self, at: Time, fault: Fault) {
        self.faults.push((at, fault));
    }
    fn noise(&mut self, start: Time) {
        if self.rng.one_in(3) {
            self.add(start, Fault::Noise);
        }
    }

    /// How long something lasts. Most is over soon: what only a long time could bring, some do bring.
    fn lasting(&mut self, least: u64, most: u64) -> Duration {
        let most = if self.rng.one_in(4) { most } else { least + (most - least) * 2 / 5 };
        self.rng.millis(least, most)
    }

    fn write(&mut self, kind: Kind, start: Time) {
        match kind {
            Kind::RegionLoss => self.region_loss(start),
            Kind::RegionPartition => self.partition(start),
            Kind::LinkCuts => self.link_cuts(start),
            Kind::AgentPause => self.pauses(start, false),
            Kind::RegionPause => self.pauses(start, true),
            Kind::Flapping => self.flapping(start),
            Kind::CrashStorm => self.crash_storm(start),
            Kind::ControllerCrash => self.controller_crash(start),
            Kind::DatabaseCrash => self.database_crash(start),
            Kind::Switchover => self.switchover(start),
            Kind::SecondDisaster => self.second_disaster(start),
            Kind::WitnessLoss => self.witness_loss(start),
            Kind::Stalls => self.stalls(start),
            Kind::Mixed => self.mixed(start),
        }
    }

    fn region_loss(&mut self, start: Time) {
        self.add(start, Fault::Kill(0));
        if self.rng.one_in(2) {
            let back = start + self.lasting(500, 30_000);
            self.add(back, Fault::Return(0));
        }
        if self.rng.one_in(4) {
            self.one_more(start);
        }
    }

    fn partition(&mut self, start: Time) {
        let site = if self.rng.one_in(5) { 1 } else { 0 };
        self.add(start, Fault::Isolate(site));
        let back = start + self.lasting(200, 40_000);
        self.add(back, Fault::Rejoin(site));
        if self.rng.one_in(4) {
            // Every other voter restarts while the promise to the one cut off still runs.
            for voter in (0..3).filter(|voter| *voter != site) {
                let at = start + self.rng.millis(0, 3_500);
                self.add(at, Fault::CrashAgent(voter));
            }
        }
        if self.rng.one_in(3) {
            self.one_more(start);
        }
    }

    fn pair(&mut self) -> (usize, usize) {
        let from = self.rng.below(3);
        (from, (from + 1 + self.rng.below(2)) % 3)
    }

    fn link_cuts(&mut self, start: Time) {
        for _ in 0..self.rng.range(1, 5) {
            let (from, to) = self.pair();
            let at = start + self.rng.millis(0, 15_000);
            let mended = at + self.lasting(100, 25_000);
            let ways = if self.rng.one_in(2) { vec![(from, to)] } else { vec![(from, to), (to, from)] };
            for (from, to) in ways {
                self.add(at, Fault::Cut(from, to));
                self.add(mended, Fault::Mend(from, to));
            }
        }
        if self.rng.one_in(2) {
            let (site, at) = (self.rng.below(3), start + self.rng.millis(0, 15_000));
            self.add(at, Fault::CrashAgent(site));
        }
    }

    fn pauses(&mut self, start: Time, whole: bool) {
        let mut at = start;
        for _ in 0..self.rng.range(1, 4) {
            let site = if self.rng.one_in(3) { self.rng.below(3) } else { 0 };
            let thaw = at + self.lasting(50, 15_000);
            self.add(at, if whole { Fault::FreezeSite(site) } else { Fault::FreezeAgent(site) });
            self.add(thaw, if whole { Fault::ThawSite(site) } else { Fault::ThawAgent(site) });
            at = thaw + self.rng.millis(100, 8_000);
        }
        if self.rng.one_in(3) {
            self.one_more(start);
        }
    }

    fn flapping(&mut self, start: Time) {
        let (from, to) = if self.rng.one_in(2) { (0, 1) } else { self.pair() };
        let both = self.rng.one_in(2);
        if self.rng.one_in(3) {
            // The writer dies just while its standby comes back into step.
            let at = start + self.rng.millis(500, 25_000);
            self.add(at, Fault::Kill(0));
        }
        if self.rng.one_in(3) {
            let lost = self.rng.range(50, 400) as u32;
            self.add(start, Fault::Lossy(from, to, lost));
        }
        let mut at = start;
        for _ in 0..self.rng.range(4, 16) {
            let mended = at + self.lasting(50, 4_000);
            self.add(at, Fault::Cut(from, to));
            self.add(mended, Fault::Mend(from, to));
            if both {
                self.add(at, Fault::Cut(to, from));
                self.add(mended, Fault::Mend(to, from));
            }
            at = mended + self.lasting(50, 3_000);
        }
    }

    fn crash_storm(&mut self, start: Time) {
        let mut at = start;
        for _ in 0..self.rng.range(3, 12) {
            let site = self.rng.below(3);
            let fault = match self.rng.range(0, 5) {
                0 | 1 => Fault::CrashAgent(site),
                2 | 3 => Fault::CrashDatabase(self.rng.below(2)),
                _ => Fault::CrashController,
            };
            self.add(at, fault);
            at = at + self.rng.millis(20, 5_000);
        }
    }

    fn controller_crash(&mut self, start: Time) {
        let trigger = match self.rng.range(0, 4) {
            0 => Fault::Isolate(0),
            1 => Fault::Ask(Request::Switchover { to: None }),
            _ => Fault::Kill(0),
        };
        self.add(start, trigger);
        for _ in 0..self.rng.range(1, 5) {
            let at = start + self.rng.millis(0, 14_000);
            self.add(at, Fault::CrashController);
        }
        if self.rng.one_in(3) {
            let at = start + self.rng.millis(6_000, 25_000);
            self.add(at, Fault::Return(0));
        }
    }

    fn database_crash(&mut self, start: Time) {
        let site = if self.rng.one_in(4) { 1 } else { 0 };
        self.add(start, Fault::CrashDatabase(site));
        let again = start + self.rng.millis(10, 10_000);
        if self.rng.one_in(2) {
            self.add(again, Fault::CrashDatabase(site));
        }
        if self.rng.one_in(3) {
            self.one_more(start);
        }
    }

    fn switchover(&mut self, start: Time) {
        self.add(start, Fault::Ask(Request::Switchover { to: None }));
        if self.rng.one_in(5) {
            let at = start + self.rng.millis(50, 6_000);
            self.add(at, Fault::Abort);
        }
        if !self.rng.one_in(4) {
            self.one_more(start);
        }
    }

    fn second_disaster(&mut self, start: Time) {
        self.add(start, Fault::Kill(0));
        let back = start + self.rng.millis(8_000, 14_000);
        self.add(back, Fault::Return(0));
        let failback = back + self.rng.millis(3_500, 6_000);
        self.add(failback, Fault::Ask(Request::Failback));
        let second = failback + self.rng.millis(50, 9_000);
        let fault = if self.rng.one_in(3) { Fault::Isolate(1) } else { Fault::Kill(1) };
        self.add(second, fault);
    }

    fn witness_loss(&mut self, start: Time) {
        let fault = if self.rng.one_in(2) { Fault::Kill(WITNESS) } else { Fault::Isolate(WITNESS) };
        self.add(start, fault);
        let back = start + self.lasting(1_000, 25_000);
        self.add(back, Fault::Return(WITNESS));
        self.add(back, Fault::Rejoin(WITNESS));
        if self.rng.one_in(2) {
            self.one_more(start);
        }
    }

    fn stalls(&mut self, start: Time) {
        let mut at = start;
        for _ in 0..self.rng.range(1, 4) {
            let over = at + self.lasting(50, 15_000);
            let site = if self.rng.one_in(3) { self.rng.below(3) } else { 0 };
            match self.rng.range(0, 4) {
                0 | 1 => self.both(at, over, Fault::FreezeServer(site.min(1)), Fault::ThawServer(site.min(1))),
                2 => {
                    let slower = self.rng.millis(20, 2_000);
                    self.both(at, over, Fault::SlowDisk(site, slower), Fault::SlowDisk(site, Duration::ZERO));
                }
                _ => {
                    // The gate alone must keep what the watchdog does not.
                    self.both(at, over, Fault::FreezeWatchdog(site), Fault::ThawWatchdog(site));
                    let frozen = at + self.rng.millis(0, 500);
                    self.both(frozen, over, Fault::FreezeAgent(site), Fault::ThawAgent(site));
                }
            }
            at = at + self.rng.millis(100, 8_000);
        }
        if self.rng.one_in(2) {
            self.one_more(start);
        }
    }

    fn mixed(&mut self, start: Time) {
        for _ in 0..self.rng.range(2, 8) {
            self.one_more(start);
        }
        if self.rng.one_in(3) {
            let at = start + self.rng.millis(0, 20_000);
            let (to, accept_loss) = (None, self.rng.one_in(2));
            self.add(at, Fault::Ask(Request::Failover { to, accept_loss }));
        }
    }

    /// Any single fault within the next 15 s, mended some time later.
    fn one_more(&mut self, start: Time) {
        let at = start + self.rng.millis(0, 15_000);
        let over = at + self.lasting(50, 15_000);
        let site = self.rng.below(3);
        let (from, to) = self.pair();
        match self.rng.range(0, 12) {
            10 => self.both(at, over, Fault::FreezeServer(site.min(1)), Fault::ThawServer(site.min(1))),
            11 => {
                self.both(at, over, Fault::SlowDisk(site, over.since(at) / 10), Fault::SlowDisk(site, Duration::ZERO))
            }
            0 => self.both(at, over, Fault::Cut(from, to), Fault::Mend(from, to)),
            1 => {
                self.both(at, over, Fault::Cut(from, to), Fault::Mend(from, to));
                self.both(at, over, Fault::Cut(to, from), Fault::Mend(to, from));
            }
            2 => self.both(at, over, Fault::Isolate(site), Fault::Rejoin(site)),
            3 => self.both(at, over, Fault::Kill(site), Fault::Return(site)),
            4 => self.both(at, over, Fault::FreezeAgent(site), Fault::ThawAgent(site)),
            5 => self.both(at, over, Fault::FreezeSite(site), Fault::ThawSite(site)),
            6 => self.add(at, Fault::CrashAgent(site)),
            7 => self.add(at, Fault::CrashDatabase(site.min(1))),
            8 => self.add(at, Fault::CrashController),
            _ => self.add(at, Fault::Lossy(from, to, 300)),
        }
    }

    fn both(&mut self, at: Time, over: Time, begin: Fault, end: Fault) {
        self.add(at, begin);
        self.add(over, end);
    }
}
