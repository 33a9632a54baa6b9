//! What the modelled databases do: open, stop, follow, stream; and the way of a commit from client to gate.

use std::time::Duration;

use engine::writer::{Event, Mode, Stream as Seen};
use model::action::{Evidence, Export, ExportedRows};
use model::{ActError, AttemptId, Epoch, Lsn, Outcome, Time};

use crate::database::{Batch, Entry, Server, Stream, Waiting};
use crate::site::Passing;
use crate::world::{Message, What, Work, World};

/// A server that has not answered for this long does not answer.
const ANSWERS: Duration = Duration::from_millis(500);
/// How long a connection may be silent before its standby asks anew.
const SILENT: Duration = Duration::from_millis(600);

impl World {
    fn work(&mut self, site: usize, delay: Duration, work: Work) {
        let count = self.sites[site].database.work;
        self.after(delay, What::Worked { site, count, work });
    }

    pub fn open_server(&mut self, site: usize, epoch: Epoch, after_crash: bool) {
        let database = &mut self.sites[site].database;
        if after_crash {
            database.kill();
        }
        if database.frozen {
            return self.work(site, ANSWERS, Work::NotOpened);
        }
        // Severed from the old writer before anything else.
        (database.severed, database.receiving) = (true, None);
        database.work += 1;
        let delay = self.rng.millis(20, 400);
        self.work(site, delay, Work::Open { epoch });
    }

    pub fn stop_server(&mut self, site: usize, clean: bool) {
        let patience = self.topology.timing.step_deadlines.fence / 2;
        let (mark, at) = (self.next_mark(), self.now);
        let database = &mut self.sites[site].database;
        if clean && database.server == Server::Writing && !database.frozen && !database.stopping {
            // The last checkpoint: who was not connected then lacks it, and nothing else.
            database.append(Entry { mark, write: None, at });
        }
        database.work += 1;
        database.stopping = true;
        database.waiting.clear();
        let delay = self.rng.millis(5, 120);
        self.work(site, delay, Work::Stop { clean, until: self.now + patience });
    }

    /// A piece of work ends, unless something overtook it.
    pub fn worked(&mut self, site: usize, count: u64, work: Work) {
        let place = &mut self.sites[site];
        if !place.alive || place.database.work != count || !place.agent_up {
            return;
        }
        // The agent waits for the end of each.
        if !place.runs() {
            return place.held.push(What::Worked { site, count, work });
        }
        if place.database.frozen && !matches!(work, Work::Stop { .. } | Work::Follow { .. } | Work::NotOpened) {
            return place.database.held.push(What::Worked { site, count, work });
        }
        match work {
            Work::Open { epoch } => self.opened(site, &epoch),
            Work::NotOpened => self.writer(site, Event::OpenFailed { why: "the server does not answer".into() }),
            Work::Stop { clean, until } => self.stopped(site, clean, until),
            Work::Synchronous { standby } => self.wait_for(site, standby),
            Work::Initialise { attempt } => self.initialised(site, attempt),
            Work::Follow { attempt, upstream } => self.followed(site, attempt, upstream),
        }
    }

    fn opened(&mut self, site: usize, epoch: &Epoch) {
        let (now, mark) = (self.now, self.next_mark());
        let database = &mut self.sites[site].database;
        database.severed = false;
        let refused = match database.server {
            Server::Absent => Some("there is no data"),
            Server::Stopped if database.copy => Some("this is a standby's data directory"),
            _ if database.damaged => Some("its files are damaged"),
            // Room is kept for a start, and none for a new timeline.
            Server::Standby if database.full => Some("no space is left on the device"),
            _ => None,
        };
        if let Some(why) = refused {
            return self.writer(site, Event::OpenFailed { why: why.into() });
        }
        let end = database.end();
        if database.server == Server::Standby {
            database.timeline += 1;
            database.copy = false;
        }
        database.server = Server::Writing;
        // It is told anew whom to wait for.
        database.waits_for = None;
        database.stopping = false;
        database.receiving = None;
        database.append(Entry { mark, write: None, at: now });
        self.invariant_promoted_within_rpo(site, epoch);
        self.invariant_undone_restores_are_put_back(site);
        self.writer(site, Event::Opened { phases: vec![], end: Lsn(end as u64) });
    }

    fn stopped(&mut self, site: usize, clean: bool, until: Time) {
        let now = self.now;
        if clean {
            // A clean stop waits until a connected standby has all of the log.
            let timeout = self.topology.timing.unreachable_after;
            let database = &mut self.sites[site].database;
            let runs = matches!(database.server, Server::Standby | Server::Writing);
            if !runs {
                // Only one that was stopped cleanly knows where its log ended.
                let end = database.clean_end.map(|end| Lsn(end as u64));
                database.kill();
                return self.writer(site, Event::Gone { end });
            }
            let connected = database.stream.as_ref().filter(|s| now.since(s.heard) < timeout);
            // A frozen server stops no more than it sends.
            let missing = database.frozen || connected.is_some_and(|stream| stream.flushed < database.end());
            if missing && now < until {
                self.push_wal(site);
                return self.work(site, Duration::from_millis(20), Work::Stop { clean, until });
            }
            let end = (!missing).then_some(database.end());
            let database = &mut self.sites[site].database;
            database.kill();
            database.clean_end = end;
            return self.writer(site, Event::Gone { end: end.map(|end| Lsn(end as u64)) });
        }
        self.sites[site].database.kill();
        self.writer(site, Event::Gone { end: None });
    }

    fn wait_for(&mut self, site: usize, standby: Option<usize>) {
        let weak = self.weakness.waits_for_nobody;
        let database = &mut self.sites[site].database;
        database.waits_for = standby.filter(|_| !weak);
        if database.waits_for.is_none() {
            let done = database.flushed(usize::MAX);
            self.pass_on(site, done);
        }
    }

    fn initialised(&mut self, site: usize, attempt: AttemptId) {
        let mark = self.next_mark();
        let database = &mut self.sites[site].database;
        let outcome = if database.server == Server::Absent {
            (database.server, database.timeline) = (Server::Stopped, 1);
            database.append(Entry { mark, write: None, at: Time::ZERO });
            database.clean_end = Some(database.end());
            Outcome::Done(Evidence::note("an empty database"))
        } else {
            Outcome::AlreadyDone(Evidence::note("there is data"))
        };
        self.attempt_ended(site, attempt, outcome);
    }

    pub fn begin_follow(&mut self, site: usize, attempt: AttemptId, upstream: usize) {
        let now = self.now;
        let Some(writer) = self.sites[site].writer.as_mut() else { return };
        match writer.begin_follow() {
            Err(why) => self.attempt_ended(site, attempt, Outcome::Refused { why }),
            Ok(effects) => {
                self.settle(site, effects);
                let database = &mut self.sites[site].database;
                if database.server == Server::Writing {
                    self.writer(site, Event::Followed { copy: false });
                    let why = "this server may still write, stop or kill it first".into();
                    return self.attempt_ended(site, attempt, Outcome::Refused { why });
                }
                let follows = database.server == Server::Standby
                    && database.upstream == Some(upstream)
                    && database.receiving.is_some_and(|(_, heard)| now.since(heard) < SILENT);
                database.upstream = Some(upstream);
                if follows {
                    self.writer(site, Event::Followed { copy: true });
                    return self.attempt_ended(site, attempt, Outcome::AlreadyDone(Evidence::note("it follows")));
                }
                database.work += 1;
                let delay = self.rng.millis(100, 3_000);
                self.work(site, delay, Work::Follow { attempt, upstream });
            }
        }
    }

    fn followed(&mut self, site: usize, attempt: AttemptId, upstream: usize) {
        let source = &self.sites[upstream];
        let reachable = source.alive && !source.frozen && self.net.both(site, upstream);
        let refused = match () {
            () if !reachable || source.database.server != Server::Writing || source.database.frozen => {
                Some(format!("the server of {} does not answer", source.id))
            }
            () => self.sites[site].database.full.then(|| "no space is left on the device".to_owned()),
        };
        if let Some(why) = refused {
            let error = ActError::Transient(why);
            self.writer(site, Event::Followed { copy: false });
            return self.attempt_ended(site, attempt, Outcome::Failed(error));
        }
        let fork = self.sites[site].database.fork(&source.database);
        let (source_log, timeline) = (&source.database.log, source.database.timeline);
        // From damaged files nobody can tell what only they have: all of them are kept.
        let whole = self.sites[site].database.damaged;
        let copy = whole || self.sites[site].database.server == Server::Absent;
        let log = if copy { source_log.clone() } else { Vec::new() };
        let database = &mut self.sites[site].database;
        let diverged = if copy { std::mem::replace(&mut database.log, log) } else { database.log.split_off(fork) };
        database.damaged = false;
        database.kill();
        database.server = Server::Standby;
        (database.copy, database.timeline) = (true, timeline);
        let note = format!("{} records were only here", diverged.len());
        self.say(|| format!("site {site}: follows {upstream}; {note}"));
        if !self.weakness.no_export {
            self.judge.exported.extend(diverged.iter().filter_map(|entry| entry.write));
        }
        self.invariant_nothing_discarded_silently(&diverged);
        self.writer(site, Event::Followed { copy: true });
        let only_here = diverged.iter().filter(|entry| entry.write.is_some()).count() as u64;
        let export = (!diverged.is_empty()).then(|| {
            let rows = ExportedRows { only_here, ..ExportedRows::default() };
            let transactions = (!whole).then_some(diverged.len() as u64);
            Box::new(Export { place: "model".into(), transactions, rows: (!whole).then_some(rows) })
        });
        self.attempt_ended(site, attempt, Outcome::Done(Evidence { export, ..Evidence::note(note) }));
    }

    fn next_mark(&mut self) -> u64 {
        self.marks += 1;
        self.marks
    }

    /// Every `check_every`: the server's own processes, then the agent's look at them.
    pub fn beat(&mut self) {
        self.after(self.topology.timing.check_every, What::Beat);
        for site in 0..2 {
            let place = &self.sites[site];
            if place.alive && !place.frozen && !place.database.frozen {
                self.stream(site);
            }
            // A look at a frozen server does not come back.
            if self.sites[site].runs() && !self.sites[site].database.frozen {
                self.supervise(site);
            }
        }
    }

    fn stream(&mut self, site: usize) {
        let (now, timeout) = (self.now, self.topology.timing.unreachable_after);
        let database = &mut self.sites[site].database;
        match database.server {
            Server::Standby => {
                let heard = database.receiving.is_some_and(|(_, at)| now.since(at) < SILENT);
                if let Some(upstream) = database.upstream.filter(|_| !heard && !database.severed) {
                    database.receiving = None;
                    let (end, mark) = (database.end(), database.last_mark());
                    self.send(site, upstream, Message::WalAsk { end, mark });
                }
            }
            Server::Writing => {
                if database.stream.as_ref().is_some_and(|stream| now.since(stream.heard) > timeout) {
                    database.stream = None;
                }
                self.push_wal(site);
            }
            _ => {}
        }
    }

    pub fn wal_asked(&mut self, site: usize, from: usize, end: usize, mark: Option<u64>) {
        let now = self.now;
        let id = self.next_mark();
        let database = &mut self.sites[site].database;
        if database.server == Server::Writing && database.continues(end, mark) {
            // What is being asked for is on the asker's disk.
            database.stream = Some(Stream { to: from, id, sent: end, flushed: end, heard: now });
            self.push_wal(site);
            self.standby_has(site, end);
        }
    }

    /// Sends what the standby has not been sent, or a sign of life.
    fn push_wal(&mut self, site: usize) {
        let database = &mut self.sites[site].database;
        let Some(stream) = database.stream.as_mut().filter(|_| !database.frozen) else { return };
        let entries = Batch::of(&database.log[stream.sent..]);
        let (from, to, stream_id) = (stream.sent, stream.to, stream.id);
        stream.sent = database.log.len();
        let timeline = database.timeline;
        self.send(site, to, Message::Wal { stream: stream_id, from, entries, timeline });
    }

    pub fn wal_came(&mut self, site: usize, from: usize, stream: u64, start: usize, entries: &Batch, timeline: u32) {
        let now = self.now;
        let database = &mut self.sites[site].database;
        if database.server != Server::Standby || database.upstream != Some(from) {
            return;
        }
        let newer = database.receiving.is_none_or(|(known, _)| stream >= known);
        // A severed connection brings nothing: opening the server forgets it, and a promotion under way asks no more.
        // What finds no room is not received.
        if !newer || database.severed || start != database.end() || database.full {
            return;
        }
        entries.add_to(&mut database.log);
        database.timeline = timeline;
        database.receiving = Some((stream, now));
        let upto = database.end();
        let durable = self.sites[site].disk_takes;
        self.send_after(durable, site, from, Message::WalFlushed { stream, upto });
    }

    pub fn wal_flushed(&mut self, site: usize, stream: u64, upto: usize) {
        let now = self.now;
        let database = &mut self.sites[site].database;
        let Some(known) = database.stream.as_mut().filter(|known| known.id == stream) else { return };
        known.heard = now;
        known.flushed = known.flushed.max(upto);
        self.standby_has(site, upto);
    }

    fn standby_has(&mut self, site: usize, upto: usize) {
        let database = &mut self.sites[site].database;
        if database.waits_for.is_some() && database.waits_for == database.stream.as_ref().map(|s| s.to) {
            let done = database.flushed(upto);
            self.pass_on(site, done);
        }
    }

    /// What the agent sees of its database.
    fn supervise(&mut self, site: usize) {
        let by_hand = self.heard.is_some();
        let place = &mut self.sites[site];
        let Some(writer) = place.writer.as_ref().filter(|_| !by_hand) else { return };
        if writer.following() {
            return;
        }
        match (writer.mode(), place.database.server) {
            (Mode::Writing, Server::Writing) => {
                let streams = self.streams(site);
                let position = Lsn(self.sites[site].database.end() as u64);
                self.writer(site, Event::Standbys { streams, position });
            }
            (Mode::Writing, Server::Stopped | Server::Absent) => {
                self.writer(site, Event::ServerExited { why: "no process of it is left".into() });
            }
            // A copy that nobody stopped is started again.
            (Mode::Standby, Server::Stopped) if place.database.copy && place.database.upstream.is_some() => {
                place.database.server = Server::Standby;
            }
            _ => {}
        }
    }

    pub fn streams(&self, site: usize) -> Vec<Seen> {
        let seen = |stream: &Stream| Seen {
            site: self.sites[stream.to].id.clone(),
            streaming: true,
            synchronous: self.weakness.believes_its_orders
                || self.weakness.waits_for_nobody
                || self.sites[site].database.waits_for == Some(stream.to),
            flushed: Lsn(stream.flushed as u64),
        };
        self.sites[site].database.stream.iter().map(seen).collect()
    }

    /// A client's write at the region's front door. The answer goes back only through the gate.
    pub fn write_came(&mut self, site: usize, from: usize, write: u64) {
        let (now, mark) = (self.now, self.next_mark());
        let place = &mut self.sites[site];
        let up = place.instances > 0 && !place.app_stopped;
        let open = up && place.passes(now, self.weakness.gate_without_deadline);
        if place.database.frozen && open {
            // The connection hangs, and the server reads it when it thaws.
            return place.database.held.push(What::Deliver { from, to: site, message: Message::Write { write } });
        }
        let writable = place.database.server == Server::Writing && !place.database.stopping;
        if writable && open && place.database.full && self.weakness.acknowledges_on_a_full_disk {
            let (opening, end) = (place.opening, place.database.end());
            return self.at_gate(site, Passing { write, opening, end });
        }
        if !open || !writable || place.database.full {
            return self.send(site, from, Message::Written { write, done: false });
        }
        let opening = place.opening;
        let end = place.database.append(Entry { mark, write: Some(write), at: now });
        if self.sites[site].database.waits_for.is_some() {
            self.sites[site].database.waiting.push(Waiting { end, write, opening });
        } else {
            let delay = self.rng.micros(500, 8_000) + self.sites[site].disk_takes;
            self.after(delay, What::AtGate { site, passing: Passing { write, opening, end } });
        }
        self.push_wal(site);
    }

    fn pass_on(&mut self, site: usize, done: Vec<Waiting>) {
        for Waiting { end, write, opening } in done {
            let delay = self.rng.micros(100, 1_000);
            self.after(delay, What::AtGate { site, passing: Passing { write, opening, end } });
        }
    }

    /// A commit's answer at the gate. An agent that freezes may hold it just after it looked at the deadline.
    pub fn at_gate(&mut self, site: usize, passing: Passing) {
        let ignore = self.weakness.gate_without_deadline;
        let place = &mut self.sites[site];
        if !place.alive || !place.agent_up {
            return;
        }
        if place.frozen || place.agent_frozen {
            // Of an agent frozen between its look at the deadline and the write; see the crate's docs for what is
            // frozen together with its watchdog.
            let watched = !place.frozen && !place.watchdog_frozen;
            let looked = watched && place.passes(self.now, ignore) && self.rng.one_in(2);
            let place = &mut self.sites[site];
            return match looked || ignore {
                true => place.in_hand.push(passing),
                false => place.held.push(What::AtGate { site, passing }),
            };
        }
        if place.opening == passing.opening && place.passes(self.now, ignore) {
            self.acknowledge(site, &passing);
        }
    }

    /// The answer leaves the gate.
    pub fn acknowledge(&mut self, site: usize, passing: &Passing) {
        self.invariant_no_late_acknowledgement(site, passing.write);
        let client = self.clients.home(passing.write);
        self.send(site, client, Message::Written { write: passing.write, done: true });
    }
}
