//! Becoming a standby, whatever this side was before (SAFETY.md items 12 and 13).

use std::fs;
use std::time::Instant;

use model::Lsn;
use tokio::time::sleep;

use super::config::{slot, text};
use super::control::Control;
use super::export::Sealed;
use super::files::{remove, remove_directory, sync_parent};
use super::history::{Fork, History};
use super::server::{Pass, Ready, Server};
use super::session::literal;
use super::upstream::Source;
use super::{Divergence, Error, Followed, ServerState, Stopwatch, Upstream, Way};
use crate::Act;

/// How this side's data compares with the upstream's.
enum Comparison {
    /// Nothing here that the upstream lacks.
    Prefix,
    /// It went on alone from `fork`.
    Diverged { control: Control, history: History, fork: Fork },
    /// No server can start from what is here: there is no data, or an earlier try left it half replaced.
    Unusable,
    /// Different, and no common position can be told: the whole directory is worth keeping.
    Incomparable { why: String },
}

impl Server {
    pub(super) async fn rejoin(&self, upstream: &Upstream) -> Result<Act<Followed>, Error> {
        let (pass, mut watch) = (self.pass(), Stopwatch::start());
        if self.is_running()? {
            if !self.config.is_standby() {
                return Err(Error::Refused("this server may still write, stop or kill it first".into()));
            }
            if self.follows(upstream).await && self.shares_timeline(upstream).await? {
                let divergence = self.config.given_up();
                return Ok(Act::AlreadyDone(Followed { way: Way::Direct, divergence, phases: watch.phases }));
            }
        }
        let source = Source::examine(&self.config, upstream).await?;
        source.reserve(&self.config).await?;
        watch.lap("examine");
        let pass = self.settle(pass).await?;
        self.clear_copy()?;
        watch.lap("stop");
        let comparison = self.compare(&source, pass).await?;
        watch.lap("compare");
        match comparison {
            Comparison::Prefix => self.direct(upstream, pass, watch).await,
            Comparison::Diverged { control, history, fork } => {
                self.reconcile(&source, upstream, &control, &history, &fork, pass, watch).await
            }
            Comparison::Unusable => self.copy(upstream, self.config.left_over(), pass, watch).await,
            Comparison::Incomparable { why } => {
                tracing::warn!(site = %self.config.site, "the data directory is kept and copied anew: {why}");
                self.copy(upstream, Some(self.config.keeping(why)), pass, watch).await
            }
        }
        .map(|followed| Act::Done(self.config.mention(followed)))
    }

    /// Streams from this very upstream already.
    async fn follows(&self, upstream: &Upstream) -> bool {
        let state = self.look().await.server;
        let conninfo = self.value("ask for the upstream", "select current_setting('primary_conninfo')").await;
        matches!(state, ServerState::Standby { receiving: true, .. })
            && conninfo.ok().flatten() == Some(self.config.conninfo(upstream))
    }

    /// An upstream that was restored has left the history that its standby received. The standby then asks for a position
    /// that is not there, again and again, and seems to receive each time.
    async fn shares_timeline(&self, upstream: &Upstream) -> Result<bool, Error> {
        let received =
            self.value("ask what is received", "select received_tli::text from pg_stat_wal_receiver").await?;
        let source = Source::examine(&self.config, upstream).await?;
        Ok(received == Some(source.timeline.to_string()))
    }

    /// Stops a running standby, cleanly if it can be, and makes sure that nothing is left.
    pub(super) async fn settle(&self, pass: Pass) -> Result<Pass, Error> {
        if self.is_running()?
            && let Err(e) = self.ask_to_stop().await
        {
            tracing::warn!(site = %self.config.site, "the standby does not stop cleanly: {e}");
        }
        *self.session.lock().await = None;
        self.kill_under(pass).await
    }

    async fn compare(&self, source: &Source, pass: Pass) -> Result<Comparison, Error> {
        if self.config.unfinished().exists() || !self.config.has_data() {
            return Ok(Comparison::Unusable);
        }
        let incomparable = |why: String| Ok(Comparison::Incomparable { why });
        let control = match self.control(pass).await {
            Ok(control) => control,
            Err(e) if e.passes() => return Err(e),
            Err(e) => return incomparable(e.to_string()),
        };
        if control.system != source.system {
            return incomparable("it belongs to another database system".into());
        }
        let made = self.config.made();
        if let Some(made) = &made
            && !source.descends_from(&self.config, made).await?
            && made.timeline <= source.timeline
        {
            return incomparable(format!("both sides made a timeline {}", made.timeline));
        }
        let timeline = control.timeline().max(made.map_or(0, |made| made.timeline));
        let history = match self.config.history(timeline) {
            Ok(history) => history,
            Err(e) if e.passes() => return Err(e),
            Err(e) => return incomparable(e.to_string()),
        };
        let Some(fork) = history.fork(&source.history) else {
            return incomparable("the two have no timeline in common".into());
        };
        if fork.lsn == Lsn(u64::MAX) {
            return if control.reached() > source.position || !self.config.is_standby() {
                incomparable(format!("both sides wrote on timeline {timeline}"))
            } else {
                Ok(Comparison::Prefix)
            };
        }
        match self.is_ahead(&control, &fork, pass).await {
            Ok(true) => Ok(Comparison::Diverged { control, history, fork }),
            Ok(false) => Ok(Comparison::Prefix),
            Err(e) if e.passes() => Err(e),
            Err(e) => incomparable(e.to_string()),
        }
    }

    /// Whether this side has any log after the fork.
    async fn is_ahead(&self, control: &Control, fork: &Fork, pass: Pass) -> Result<bool, Error> {
        if fork.left || control.reached() > fork.lsn {
            return Ok(true);
        }
        let segment = |at: u64| {
            let name = super::wal::segment(fork.timeline, at / control.segment_bytes, control.segment_bytes);
            self.config.data().join("pg_wal").join(name)
        };
        if !segment(fork.lsn.0).exists() {
            // The log is contiguous, so that it ends before this segment. Unless it is gone: what the others had of a
            // writer at the fork, that writer had written.
            let had = segment(fork.lsn.0.saturating_sub(1));
            if !self.config.is_standby() && !had.exists() {
                return Err(Error::parse("the log of a former writer, which is gone", had.display().to_string()));
            }
            return Ok(false);
        }
        let mut ahead = false;
        let any = |_| {
            ahead = true;
            false
        };
        self.scan_after(fork.timeline, fork.lsn, control.segment_bytes, pass, any).await?;
        Ok(ahead)
    }

    async fn direct(&self, upstream: &Upstream, pass: Pass, mut watch: Stopwatch) -> Result<Followed, Error> {
        match self.stream(upstream, pass).await {
            Ok(()) => {
                watch.lap("start");
                Ok(Followed { way: Way::Direct, divergence: None, phases: watch.phases })
            }
            Err(Error::Overtaken) => Err(Error::Overtaken),
            Err(e) => {
                tracing::warn!(site = %self.config.site, "cannot stream from where it stands, copying anew: {e}");
                let pass = self.settle(pass).await?;
                watch.lap("start in vain");
                self.copy(upstream, None, pass, watch).await
            }
        }
    }

    /// Export, then rewind; a new copy if that fails.
    #[allow(clippy::too_many_arguments)] // what `compare` found, passed on whole
    async fn reconcile(
        &self,
        source: &Source,
        upstream: &Upstream,
        control: &Control,
        history: &History,
        fork: &Fork,
        pass: Pass,
        mut watch: Stopwatch,
    ) -> Result<Followed, Error> {
        source.checkpointed(&self.config).await?;
        watch.lap("checkpoint");
        let sealed = match self.export(source, control, history, fork, pass, &mut watch).await {
            Ok(sealed) => sealed,
            Err(Error::Program { said, .. } | Error::DiedStarting { said } | Error::Incomparable(said)) => {
                tracing::warn!(site = %self.config.site, "the data cannot be read, keeping all: {said}");
                return self.copy(upstream, Some(self.config.keeping(said)), pass, watch).await;
            }
            Err(e) => return Err(e),
        };
        watch.lap("compare rows");
        let failed = match self.rewind(upstream, &sealed, pass).await {
            Ok(()) => {
                watch.lap("rewind");
                match self.stream(upstream, pass).await {
                    Ok(()) => {
                        watch.lap("start");
                        return Ok(Followed { way: Way::Rewind, divergence: Some(sealed.0), phases: watch.phases });
                    }
                    Err(e) => e,
                }
            }
            Err(e) => e,
        };
        if matches!(failed, Error::Overtaken) {
            return Err(failed);
        }
        tracing::warn!(site = %self.config.site, "the rewind failed, copying anew: {failed}");
        let pass = self.settle(pass).await?;
        watch.lap("rewind in vain");
        self.copy(upstream, Some(sealed.0), pass, watch).await
    }

    /// Gives up what only this side has, which takes the proof that it was exported.
    async fn rewind(&self, upstream: &Upstream, sealed: &Sealed, pass: Pass) -> Result<(), Error> {
        let config = &self.config;
        // It may have to finish a crash recovery, for which it runs the server on this configuration: alone, with no
        // connections, and without the lease file that does not exist now. That recovery's own checkpoint may recycle
        // nothing: the rewind reads the log back to the last checkpoint that both have.
        let alone = config.home.join("recovery.conf");
        let settings = "listen_addresses = ''\ndynamic_shared_memory_type = 'mmap'\nwal_keep_size = '1000TB'\n";
        config.write(&alone, settings)?;
        config.give_up("rewind", Some(&sealed.0))?;
        let (data, conninfo, alone) = (text(&config.data()), config.conninfo(upstream), text(&alone));
        let args = ["-D", &data, "--source-server", &conninfo, "--config-file", &alone];
        let output = self.run("pg_rewind", args, pass).await?;
        let said = [output.stdout, output.stderr].concat();
        if String::from_utf8_lossy(&said).contains("no rewind required") {
            let said = super::server::last_lines(&said);
            return Err(Error::Program { program: "pg_rewind".into(), status: "it did nothing".into(), said });
        }
        self.finish()
    }

    /// The data directory is whole again, and made nothing of its own.
    fn finish(&self) -> Result<(), Error> {
        let config = &self.config;
        config.write(&config.data().join("standby.signal"), "")?;
        config.write_configuration()?;
        remove(&config.home.join("made.json"))?;
        remove(&config.unfinished())?;
        sync_parent(&config.unfinished())
    }

    /// A new copy of the upstream, beside the old data until it is complete.
    async fn copy(
        &self,
        upstream: &Upstream,
        divergence: Option<Divergence>,
        pass: Pass,
        mut watch: Stopwatch,
    ) -> Result<Followed, Error> {
        let config = &self.config;
        config.write_configuration()?;
        let incoming = config.home.join("data.incoming");
        remove_directory(&incoming)?;
        let (target, conninfo, slot) = (text(&incoming), config.conninfo(upstream), slot(&config.site));
        let mut args = vec!["-D", &target, "-d", &conninfo, "-X", "stream", "-c", "fast", "-S", &slot, "-w"];
        if !config.sync_on_create {
            args.push("--no-sync");
        }
        self.run("pg_basebackup", args, pass).await?;
        config.give_up("copy", divergence.as_ref())?;
        if let Some(divergence) = &divergence {
            config.keep(divergence)?;
        }
        // What is there now lacks nothing of the upstream's, or its export is sealed, or an earlier try copied it.
        remove_directory(&config.data())?;
        fs::rename(&incoming, config.data()).map_err(Error::file("put the copy in place"))?;
        sync_parent(&config.data())?;
        self.finish()?;
        watch.lap("copy");
        self.stream(upstream, pass).await?;
        watch.lap("start");
        Ok(Followed { way: Way::Copy, divergence, phases: watch.phases })
    }

    /// Starts as a standby and waits until it streams.
    async fn stream(&self, upstream: &Upstream, pass: Pass) -> Result<(), Error> {
        self.config.write(&self.config.data().join("standby.signal"), "")?;
        let log_begins = fs::metadata(self.config.log()).map_or(0, |m| m.len());
        let ready = self.start(&self.config.standby_lease(upstream), pass).await?;
        let (started, limits) = (Instant::now(), &self.config.limits);
        loop {
            let streaming = "select 1 from pg_stat_wal_receiver where status = 'streaming'";
            if ready == Ready::Yes && matches!(self.value("look for the stream", streaming).await, Ok(Some(_))) {
                break;
            }
            let log = self.config.log_since(log_begins);
            let lost = ["has already been removed", "is not a child of this server's history", "forked off"];
            if started.elapsed() > limits.stream || !self.is_running()? || lost.iter().any(|text| log.contains(text)) {
                return Err(Error::DiedStarting { said: super::server::last_lines(log.as_bytes()) });
            }
            sleep(limits.poll).await;
        }
        // Slots from a time as the writer would keep log for ever.
        let unused = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active and slot_name like {}",
            literal("antipode\\_%")
        );
        self.ask("drop unused slots", &unused, limits.start).await.map(|_| ())
    }
}
