//! The cases' orders, given to two real PostgreSQL servers with the drivers that an agent uses, over a link that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use controller::agent::obey;
use drivers::postgres::{Database, Followed, ServerState, Upstream};
use drivers::{Act, Acted, process};
use lab::proxy::{Link, Network, Protocol};
use model::backup::RestoreTo;
use model::{ActError, Epoch};
use rustix::process::Signal;
use sim::by_hand::Written;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::disk::Disk;
use super::modelled::{RUN, answered, kept, told};
use super::order::Order;
use super::server::{self, Region, site};
use super::vault::Vault;
use crate::case::{Given, Where};
use crate::{PATIENCE, World};

/// Between two looks at something that takes its time.
const LOOK: Duration = Duration::from_millis(20);

/// A commit that waits for its standby this long gets no answer.
const STEADILY: Duration = Duration::from_secs(2);

/// How long a silent peer counts as there where a link is cut.
const SOON: Duration = Duration::from_secs(4);

/// The data of both regions, made once: a copy of a directory takes a tenth of the time of an `initdb` and a base backup.
pub struct Template(TempDir);

impl Template {
    pub async fn make() -> Self {
        let folder = server::folder();
        let mut pair = Real::new(folder.path(), 0, server::SILENT).await;
        pair.must(Order::Initialise(Where::A), "done").await;
        pair.must(Order::Open { at: Where::A, epoch: 1, waiting: false }, "opened").await;
        let tables = "create table rows (id int primary key); create table ballast (v text);
            alter table ballast alter v set storage external";
        pair.regions[0].sql(tables).await;
        for number in 1..=3 {
            pair.must(Order::Write { number, at: Where::A, large: false }, "acknowledged").await;
        }
        pair.must(Order::Follow(Where::B), "done").await;
        for at in Where::BOTH {
            pair.must(Order::Stop { at, clean: true }, "gone, with its end").await;
        }
        drop(pair);
        Self(folder)
    }
}

pub struct Real {
    regions: [Region; 2],
    network: Network,
    links: [Link; 2],
    frozen: [bool; 2],
    writes: BTreeMap<u64, JoinHandle<bool>>,
    vault: Vault,
    remembered: Option<RestoreTo>,
    /// In this order: what is mounted in the folder goes before it, and both after the servers.
    disk: Option<Disk>,
    _folder: Option<TempDir>,
}

impl Real {
    /// `lane` tells the addresses of cases that are played at once apart. What the case does decides over its world: where a
    /// link is cut, silence is soon noticed; where a disk is filled, it is one of its own, or the case cannot be played.
    pub async fn given(template: &Template, given: Given, lane: usize, does: &[&Order]) -> Option<Self> {
        let folder = server::folder();
        let disk = if does.iter().any(|order| matches!(order, Order::Fill(_))) {
            Some(Disk::mounted(folder.path())?)
        } else {
            None
        };
        let cut = does.contains(&&Order::Cut);
        if given != Given::Nothing {
            let regions = if given == Given::Pair { &Where::BOTH[..] } else { &[Where::A] };
            for region in regions {
                let from = template.0.path().join(region.name());
                let copied = Command::new("cp").arg("-a").arg("--reflink=auto").arg(from).arg(folder.path()).status();
                assert!(copied.expect("cp").success());
            }
        }
        let mut real = Self::new(folder.path(), lane + 1, if cut { SOON } else { server::SILENT }).await;
        if given != Given::Nothing {
            real.must(Order::Open { at: Where::A, epoch: 1, waiting: false }, "opened").await;
        }
        if given == Given::Pair {
            real.must(Order::Follow(Where::B), "done").await;
        }
        (real.disk, real._folder) = (disk, Some(folder));
        Some(real)
    }

    async fn new(folder: &std::path::Path, lane: usize, silent: Duration) -> Self {
        let regions = Where::BOTH.map(|at| Region::new(&folder.join(at.name()), at, lane, silent));
        let (network, links) = (Network::new(), Link::between(&site(Where::A), &site(Where::B)));
        for (link, at) in links.iter().zip([Where::B, Where::A]) {
            let (near, far) = (regions[at.number()].seen_from_afar, regions[at.number()].server.config().listen);
            network.listen(link, Protocol::Tcp, near, far).await.expect("a free port");
        }
        let (vault, writes) = (Vault::default(), BTreeMap::new());
        Self { regions, network, links, frozen: [false; 2], writes, vault, remembered: None, disk: None, _folder: None }
    }

    /// What is given must come about.
    async fn must(&mut self, order: Order, wanted: &str) {
        let ended = crate::perform(self, &order, wanted).await;
        assert_eq!(ended, wanted, "{order:?}");
    }

    fn region(&self, at: Where) -> &Region {
        &self.regions[at.number()]
    }

    fn upstream(&self, at: Where) -> Upstream {
        let address = self.region(at).seen_from_afar;
        Upstream { site: site(at), host: address.ip().to_string(), port: address.port() }
    }

    async fn write(&mut self, number: u64, at: Where, large: bool) -> String {
        let region = self.region(at);
        let to = region.application();
        let ballast = if large { "; insert into ballast values (repeat('x', 1048576))" } else { "" };
        let sql = format!("insert into rows values ({number}){ballast}");
        let write = tokio::spawn(async move {
            let Ok(client) = server::connect(to).await else { return false };
            client.batch_execute(&sql).await.is_ok()
        });
        // What a stopped process is asked, it answers when it goes on. Every commit waits for its standby for a moment.
        let mut waited = None;
        while !write.is_finished() && !self.frozen[at.number()] {
            waited = if self.region(at).waits().await { waited.or_else(|| Some(Instant::now())) } else { None };
            if waited.is_some_and(|since| since.elapsed() >= STEADILY) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        self.writes.insert(number, write);
        if self.writes[&number].is_finished() { self.settled(number).await } else { answered(Written::Pending) }
    }

    async fn settled(&mut self, number: u64) -> String {
        let write = self.writes.remove(&number).expect("it was written");
        match tokio::time::timeout(PATIENCE, write).await {
            Ok(Ok(true)) => answered(Written::Acknowledged),
            Ok(_) => answered(Written::Refused),
            Err(_) => answered(Written::Pending),
        }
    }

    fn signal(&self, at: Where, signal: Signal) {
        for pid in self.region(at).pids() {
            process::signal(pid, signal);
        }
    }

    /// The postmaster is killed, and its children follow it.
    async fn crash(&self, at: Where) {
        let postmaster = self.region(at).postmaster();
        process::signal(postmaster, Signal::KILL);
        let began = Instant::now();
        while !self.region(at).pids().is_empty() {
            assert!(began.elapsed() < PATIENCE, "a killed server's processes stay");
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn epoch(at: Where, number: u64) -> Epoch {
    Epoch { number, site: site(at) }
}

/// An act's end, as a controller is told.
fn ended(acted: Acted) -> String {
    match acted {
        Ok(Act::Done(())) => "done",
        Ok(Act::AlreadyDone(())) => "already done",
        Ok(Act::Refused(_)) => "refused",
        Err(ActError::Transient(_)) => "failed for now",
        Err(ActError::Permanent(_)) => "failed for good",
        Err(ActError::Unknown(_)) => "unknown",
    }
    .into()
}

fn followed(acted: Acted<Followed>) -> String {
    let kept = match &acted {
        Ok(Act::Done(followed)) => kept(followed.divergence.as_ref().map(|divergence| divergence.rows)),
        _ => String::new(),
    };
    ended(acted.map(plain)) + &kept
}

/// Only how it ended.
fn plain<T>(act: Act<T>) -> Act<()> {
    match act {
        Act::Done(_) => Act::Done(()),
        Act::AlreadyDone(_) => Act::AlreadyDone(()),
        Act::Refused(why) => Act::Refused(why),
    }
}

impl World<Order> for Real {
    async fn perform(&mut self, order: &Order) -> String {
        let driver = |at: Where| &self.regions[at.number()].server;
        match order {
            Order::Initialise(at) => ended(driver(*at).initialise().await),
            Order::Open { at, epoch: number, waiting } => {
                let standby = waiting.then(|| site(at.other()));
                told(Some(obey::open(driver(*at), &epoch(*at, *number), standby).await))
            }
            Order::Restart { at, epoch: number } => {
                told(Some(obey::restart(driver(*at), &epoch(*at, *number), None).await))
            }
            Order::Stop { at, clean } => {
                let gone = told(Some(obey::stop(driver(*at), *clean).await));
                self.frozen[at.number()] = false;
                gone
            }
            Order::Follow(at) => followed(driver(*at).follow(&self.upstream(at.other())).await),
            Order::Wait { at, standby } => {
                let standbys: Vec<_> = standby.then(|| site(at.other())).into_iter().collect();
                match driver(*at).set_synchronous(&standbys).await {
                    Ok(Act::Done(()) | Act::AlreadyDone(())) => String::new(),
                    other => ended(other),
                }
            }
            Order::Write { number, at, large } => self.write(*number, *at, *large).await,
            Order::Await(number) => self.settled(*number).await,
            Order::Crash(at) => {
                self.crash(*at).await;
                String::new()
            }
            Order::Freeze(at) | Order::Thaw(at) => {
                let freeze = matches!(order, Order::Freeze(_));
                self.signal(*at, if freeze { Signal::STOP } else { Signal::CONT });
                self.frozen[at.number()] = freeze;
                String::new()
            }
            Order::Cut => {
                self.network.cut(&self.links);
                String::new()
            }
            Order::Mend => {
                self.network.heal(&self.links);
                String::new()
            }
            Order::Archive(at) => {
                self.vault.archive(driver(*at)).await;
                "done".into()
            }
            Order::Remember(at) => {
                self.remembered = Some(self.region(*at).moment().await);
                String::new()
            }
            Order::Restore(at) => {
                let to = self.remembered.expect("a moment is remembered first");
                let Some(needed) = self.vault.needed(&to) else { return "refused".into() };
                ended(driver(*at).recover(RUN, &to, &needed, &self.vault, PATIENCE).await.map(plain))
            }
            Order::PutBack(at) => ended(driver(*at).put_back(RUN).await),
            Order::Fill(_) | Order::Empty(_) => {
                let disk = self.disk.as_ref().expect("a disk of its own");
                if matches!(order, Order::Fill(_)) {
                    disk.fill()
                } else {
                    disk.empty()
                }
                String::new()
            }
            Order::Damage(at) => {
                let file = self.region(*at).server.config().data().join("global/pg_control");
                std::fs::remove_file(file).expect("it is there");
                String::new()
            }
            Order::See(_) => unreachable!("a look is no order"),
        }
    }

    async fn see(&mut self, order: &Order) -> BTreeSet<String> {
        let Order::See(at) = *order else { unreachable!("{order:?} is no look") };
        let observed = self.region(at).server.observe().await;
        let name = |site: &model::SiteId| site.as_str().trim_start_matches("site-").to_owned();
        let mut facts: Vec<String> = match &observed.server {
            ServerState::Absent => vec!["absent".into()],
            ServerState::Unfinished => vec!["unfinished".into()],
            ServerState::Stopped => vec!["stopped".into()],
            ServerState::Starting => vec!["starting".into()],
            ServerState::Unresponsive => vec!["unresponsive".into()],
            ServerState::Writing { .. } => vec!["writing".into()],
            ServerState::Standby { upstream, receiving, .. } => vec![
                format!("standby of {}", name(upstream)),
                if *receiving { "receives" } else { "receives nothing" }.into(),
            ],
        };
        if !matches!(observed.server, ServerState::Standby { .. } | ServerState::Writing { .. }) {
            return facts.into_iter().collect();
        }
        facts.push(format!("timeline {}", observed.timeline));
        facts.push(format!("epoch {} {}", observed.written.number, name(&observed.written.site)));
        facts.extend(self.region(at).rows().await);
        if let ServerState::Writing { position } = observed.server {
            let streams: Vec<_> = observed.standbys.iter().filter(|standby| standby.streaming).collect();
            if streams.is_empty() {
                facts.push("nobody streams".into());
            }
            for standby in streams {
                let name = name(&standby.site);
                let all = standby.flushed >= position;
                facts.push(format!("{name} streams"));
                facts.push(if all { format!("{name} has all") } else { format!("{name} lacks some") });
                facts.extend(standby.synchronous.then(|| format!("commits wait for {name}")));
            }
        }
        facts.into_iter().collect()
    }

    async fn pass(&mut self, since: Instant) -> bool {
        tokio::time::sleep(LOOK).await;
        since.elapsed() < PATIENCE
    }
}
