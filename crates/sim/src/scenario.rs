//! Which disaster a seed means: the workload, the people, and what breaks when.

use std::time::Duration;

use engine::Request;
use model::backup::RestoreTo;
use model::{Lsn, SiteId, Time};
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
    /// A voter loses what it promised, and comes back.
    VoterWiped,
    /// The application serves nobody, and its database is well.
    AppStopped,
    /// The disk of a database is full.
    FullDisk,
    /// People ask for a restore from a backup, and something breaks meanwhile.
    Restore,
    /// Anything, at any time.
    Mixed,
    /// All sites but one are lost, or out of reach, and people break the glass there.
    BreakGlass,
}

impl Kind {
    pub const ALL: [Kind; 19] = [
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
        Kind::VoterWiped,
        Kind::AppStopped,
        Kind::FullDisk,
        Kind::Restore,
        Kind::Mixed,
        Kind::BreakGlass,
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
    /// The voter's storage is gone, and its agent starts again.
    WipeVoter(usize),
    /// No instance of the application serves, however often it is started.
    StopApp(usize),
    StartApp(usize),
    /// Nothing more can be written where the database is.
    FillDisk(usize),
    FreeDisk(usize),
    CrashController,
    /// Messages come late, twice and in another order from here on.
    Noise,
    Ask(Request),
    Abort,
    /// Somebody in a region gives their word that all other sites are fenced.
    Word(usize, &'static str),
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
    pub fn draw(seed: u64, rng: &mut Rng) -> Self {
        // By the seed's number, so that all others mean what they meant before this kind was there. What only few seeds of
        // a kind can show, they still show.
        let drawn = *rng.pick(&Kind::ALL[..Kind::ALL.len() - 1]);
        let kind = if seed % 16 == 5 && drawn != Kind::Restore { Kind::BreakGlass } else { drawn };
        let shape = match rng.range(0, 16) {
            0..7 => Shape::Automatic,
            7..9 => Shape::Ask,
            9..12 => Shape::Block,
            12..15 => Shape::Degrade,
            _ => Shape::Unapproved,
        };
        let shape = if kind == Kind::Restore { Shape::BackedUp } else { shape };
        let mut script = Script { rng, faults: Vec::new() };
        let start = BEGIN + script.rng.millis(500, 2_000);
        script.noise(start);
        script.write(kind, start);
        let last = script.faults.iter().map(|(at, _)| *at).max().unwrap_or(start);
        let healed = last + script.lasting(1_000, 15_000);
        script.faults.push((healed, Fault::Heal));
        let mut faults = script.faults;
        faults.sort_by_key(|(at, _)| *at);
        // Whoever asks for a restore wants it.
        let accepts_loss = rng.one_in(3) || (kind == Kind::Restore && rng.one_in(2));
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
            Kind::VoterWiped => self.voter_wiped(start),
            Kind::AppStopped => self.app_stopped(start),
            Kind::FullDisk => self.full_disk(start),
            Kind::Restore => self.restore(start),
            Kind::Mixed => self.mixed(start),
            Kind::BreakGlass => self.break_glass(start),
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

    /// One voter in a disaster: of two that forget at once nothing is promised (docs/safety.md).
    fn voter_wiped(&mut self, start: Time) {
        if self.rng.one_in(3) {
            let site = self.rng.below(3);
            self.add(start, Fault::WipeVoter(site));
            return self.one_more(start);
        }
        // The writer loses first one voter for long, then the other, which forgets just then that it is bound.
        let last = if self.rng.one_in(2) { WITNESS } else { 1 };
        let first = 3 - last;
        let begin = |script: &mut Self, at: Time, over: Time, site: usize| {
            script.both(at, over, Fault::Cut(0, site), Fault::Mend(0, site));
            script.both(at, over, Fault::Cut(site, 0), Fault::Mend(site, 0));
        };
        let cut = start + self.rng.millis(4_500, 8_000);
        let over = cut + self.lasting(1_000, 20_000);
        begin(self, start, over, first);
        begin(self, cut, over, last);
        let wiped = cut + self.rng.millis(0, 2_500);
        self.add(wiped, Fault::WipeVoter(last));
        if self.rng.one_in(4) {
            // It forgets again what it is being told.
            let again = wiped + self.rng.millis(200, 8_000);
            self.add(again, Fault::CrashAgent(last));
        }
    }

    fn app_stopped(&mut self, start: Time) {
        let over = start + self.lasting(5_000, 40_000);
        if self.rng.one_in(3) {
            // Where it would go nobody could serve, either.
            self.both(start, over, Fault::StopApp(1), Fault::StartApp(1));
            let fails = start + self.rng.millis(0, 6_000);
            let fault = if self.rng.one_in(2) { Fault::Kill(0) } else { Fault::Isolate(0) };
            return self.add(fails, fault);
        }
        self.both(start, over, Fault::StopApp(0), Fault::StartApp(0));
        if self.rng.one_in(2) {
            self.one_more(start);
        }
    }

    fn full_disk(&mut self, start: Time) {
        let site = usize::from(self.rng.one_in(4));
        let over = start + self.lasting(5_000, 40_000);
        self.both(start, over, Fault::FillDisk(site), Fault::FreeDisk(site));
        if self.rng.one_in(2) {
            self.one_more(start);
        }
    }

    fn restore(&mut self, start: Time) {
        let to = RestoreTo::Lsn(Lsn(self.rng.range(2, 40)));
        let site = self.rng.one_in(3).then(|| SiteId::new("south"));
        self.add(start, Fault::Ask(Request::Restore { to, site, accept_loss: true }));
        if self.rng.one_in(4) {
            let at = start + self.rng.millis(50, 10_000);
            self.add(at, Fault::Abort);
        }
        if self.rng.one_in(4) {
            let at = start + self.rng.millis(50, 10_000);
            self.add(at, Fault::CrashController);
        }
        if !self.rng.one_in(3) {
            self.one_more(start);
        }
    }

    /// One region is left. Either the others are dead, or only out of its reach; and then either they are together, or apart.
    fn break_glass(&mut self, start: Time) {
        let left = usize::from(!self.rng.one_in(5));
        let other = 1 - left;
        let first = start + self.rng.millis(2_500, 8_000);
        let second = first + self.lasting(300, 10_000);
        match self.rng.range(0, 4) {
            0 | 1 => {
                self.add(start, Fault::Kill(other));
                let at = start + self.rng.millis(0, 1_500);
                self.add(at, Fault::Kill(WITNESS));
            }
            // The old writer has its lease until the very last moment: it is cut off just before the last word.
            2 => {
                self.add(start, Fault::Isolate(left));
                let at = second - self.rng.millis(1, 400);
                self.add(at, Fault::Isolate(other));
            }
            // People are wrong: the others live, and have each other.
            _ => self.add(start, Fault::Isolate(left)),
        }
        self.add(first, Fault::Word(left, "ada"));
        let by = *self.rng.pick(&["bob", "bob", "bob", "ada"]);
        self.add(second, Fault::Word(left, by));
        if self.rng.one_in(4) {
            let at = first + self.rng.millis(0, 20_000);
            self.add(at, Fault::CrashAgent(left));
        }
        // People try again.
        for (after, by) in [(12_000, "bob"), (14_000, "cyd")] {
            let at = second + self.rng.millis(after, after + 1_500);
            self.add(at, Fault::Word(left, by));
        }
        if self.rng.one_in(3) {
            let at = second + self.rng.millis(0, 30_000);
            let one = if self.rng.one_in(2) { WITNESS } else { other };
            self.add(at, Fault::Return(one));
            self.add(at, Fault::Rejoin(one));
        }
        let end = second + self.rng.millis(22_000, 35_000);
        self.add(end, Fault::Rejoin(left));
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
