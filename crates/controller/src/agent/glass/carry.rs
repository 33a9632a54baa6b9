//! Carrying it out: the wait, the last look, the order to this site's writer; then instances, a real request, traffic.

use std::sync::Arc;
use std::time::Duration;

use drivers::{Act, Acted, Traffic};
use engine::glass::{self, GlassRecord};
use engine::lease::Terms;
use engine::writer::{Event, Mode};
use model::action::AcceptLoss;
use model::topology::{Replication, WhenAlone};
use model::{Attempt, AttemptId, Epoch, Outcome, RunId};
use tokio_util::sync::CancellationToken;

use super::GlassDesk;
use crate::clock;

/// Attempts of broken glass, apart from every run of a controller: no controller comes to so many runs.
const RUN: u64 = 1 << 48;
/// For an order's end to be told, beyond its own deadline.
const GRACE: Duration = Duration::from_secs(1);

impl GlassDesk {
    /// From the last word to the epoch, unless it is given up meanwhile.
    pub(super) async fn carry_out(self: Arc<Self>, attempt: u32) {
        let terms = Terms::new(&self.parts.topology.timing);
        let open = self.kept().glass.open.clone().filter(|open| open.attempt == attempt);
        let Some(at) = open.and_then(|open| glass::ready_at(&open, terms)) else { return };
        clock::sleep_until(at).await;
        let turn = self.turn.lock().await;
        let scene = self.look().await;
        let records = {
            let mut kept = self.kept();
            if kept.glass.open.as_ref().is_none_or(|open| open.attempt != attempt) {
                return;
            }
            let records = glass::order(&kept.glass, &self.parts.topology, &scene, clock::now());
            if let Err(error) = kept.write(&records) {
                return tracing::error!(%error, "what cannot be written down is not done");
            }
            records
        };
        drop(turn);
        if let [GlassRecord::Ordered { saw, .. }] = &records[..] {
            let taken = self.take(attempt, &saw.known).await;
            let record = match taken {
                Ok(epoch) => GlassRecord::Taken { attempt, epoch, at: clock::now() },
                Err(why) => GlassRecord::Failed { attempt, why },
            };
            self.note(record);
        }
    }

    /// Orders this site's writer; its end, or what its own store knows when no end is told.
    async fn take(&self, attempt: u32, known: &Epoch) -> Result<Epoch, String> {
        let parts = &self.parts;
        let deadline = parts.topology.timing.step_deadlines.promote;
        let id = AttemptId { run: RunId(RUN + u64::from(attempt)), step: 0, number: 1 };
        parts.orders.attempts.begin(id);
        let accept_loss = {
            let kept = self.kept();
            let open = kept.glass.open.as_ref().ok_or("it was given up")?;
            AcceptLoss { by: open.people(), estimate: open.said[0].word.loss.clone() }
        };
        let generation = parts.orders.generation.load(std::sync::atomic::Ordering::SeqCst);
        let attempt = Attempt { id, epoch: known.clone(), generation, deadline };
        let received = parts.shell.received().await;
        parts.lease.tell(Event::BreakGlass { attempt, received, accept_loss });
        let outcome = parts.orders.attempts.wait(id, deadline + GRACE).await;
        let written = parts.lease.view().written;
        match outcome {
            Outcome::Done(evidence) | Outcome::AlreadyDone(evidence) => Ok(evidence.epoch.unwrap_or(written)),
            // The epoch is the commit point, whatever came after it.
            _ if written > *known && written.site == parts.site => Ok(written),
            Outcome::Refused { why } => Err(why),
            Outcome::Failed(error) => Err(error.to_string()),
        }
    }

    fn note(&self, record: GlassRecord) {
        if let Err(error) = self.kept().write(&[record]) {
            tracing::error!(%error, "the journal of broken glass cannot be written");
        }
    }

    /// While glass is broken: tells how its epoch fares, and brings this region into service, again after a restart.
    pub async fn tend(self: Arc<Self>, stop: CancellationToken) {
        let every = self.parts.topology.timing.probe_every;
        let mut said = String::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
            let Some(broken) = self.report() else { continue };
            let view = self.parts.lease.view();
            match &view.mode {
                Mode::Writing if !view.alone && !broken.adopted => {
                    self.note(GlassRecord::Adopted { attempt: broken.attempt });
                }
                Mode::Fenced { why, .. } if view.lapsed.is_none() && *why != said => {
                    said.clone_from(why);
                    self.note(GlassRecord::Deposed { attempt: broken.attempt, why: why.clone() });
                }
                _ => {}
            }
            let (Mode::Writing, Some(epoch)) = (&view.mode, view.epoch.clone()) else { continue };
            // Whoever has routed since knows of the broken glass.
            if self.parts.dns.observe().await.epoch >= broken.epoch {
                continue;
            }
            let done = self.bring_into_service(broken.attempt, &epoch).await;
            let why = done.err().unwrap_or_default();
            if !why.is_empty() && why != said {
                said.clone_from(&why);
                let what = "bring the region into service".into();
                self.note(GlassRecord::Step { attempt: broken.attempt, what, done: false, note: why });
            }
        }
    }

    /// Instances first, then a real request, then traffic: nobody is sent to what was not seen to work.
    async fn bring_into_service(&self, attempt: u32, epoch: &Epoch) -> Result<(), String> {
        let (parts, deadlines) = (&self.parts, &self.parts.topology.timing.step_deadlines);
        let step = |what: String, note: String| self.note(GlassRecord::Step { attempt, what, done: true, note });
        for (id, fleet) in parts.topology.fleets() {
            let running = parts.orders.fleets.get(id).ok_or_else(|| format!("this site has no {id}"))?;
            parts.orders.remember_scale(id, fleet.peak);
            succeeds(running.scale(fleet.peak, deadlines.scale).await)?;
            let until = clock::now() + deadlines.scale;
            let mut ready = 0;
            while ready < fleet.peak {
                if clock::now() >= until {
                    return Err(format!("{ready} of {} instances of {id} are ready", fleet.peak));
                }
                running.check_now();
                tokio::time::sleep(parts.topology.timing.check_every).await;
                ready = running.observe().await.ready();
            }
            step(format!("scale {id} to the peak"), format!("{ready} instances are ready"));
        }
        for (id, fleet) in parts.topology.fleets() {
            let Some(running) = parts.orders.fleets.get(id) else { continue };
            let write = fleet.exercise.is_some() && !self.blocks();
            let said = succeeds(running.exercise(write, deadlines.exercise).await)?;
            step(format!("a real request succeeds at {id}"), said);
        }
        let served = parts.dns.zone().ok_or("its DNS server has never had a zone")?;
        let zone = engine::routing::only(&served, &parts.site, epoch);
        succeeds(parts.dns.route(zone).await)?;
        step(glass::TRAFFIC.into(), format!("the DNS server of {} leads here", parts.site));
        Ok(())
    }

    /// A writer that was told to block while it is alone acknowledges nothing, by choice of the spec.
    fn blocks(&self) -> bool {
        let (_, postgres) = self.parts.topology.database();
        postgres.replication == Replication::Synchronous && postgres.when_alone == WhenAlone::Block
    }
}

fn succeeds<T>(acted: Acted<T>) -> Result<T, String> {
    match acted {
        Ok(Act::Done(done) | Act::AlreadyDone(done)) => Ok(done),
        Ok(Act::Refused(why)) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}
