//! Becoming the writer: sever, promote, write the epoch's record, and make rewinds against us possible.

use std::fs;
use std::time::{Duration, Instant};

use model::{Epoch, Lsn, SiteId};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_postgres::error::SqlState;

use super::config::Config;
use super::history::History;
use super::server::Server;
use super::session::{Session, column, identifier, literal};
use super::{Error, Stopwatch, Wrote};
use crate::Act;

/// Which timeline this server itself created, and in which epoch. If both sides were promoted apart they may have
/// picked the same number, and a comparison of histories cannot tell (SAFETY.md item 12).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub epoch: Epoch,
    pub timeline: u32,
    pub lsn: Lsn,
}

impl Config {
    pub(super) fn made(&self) -> Option<Made> {
        serde_json::from_str(&fs::read_to_string(self.home.join("made.json")).ok()?).ok()
    }

    /// The history of `timeline` as this data directory knows it.
    pub(super) fn history(&self, timeline: u32) -> Result<History, Error> {
        let path = self.data().join(format!("pg_wal/{timeline:08X}.history"));
        let file = match timeline {
            1 => String::new(),
            _ => fs::read_to_string(&path).map_err(Error::file(format!("read {}", path.display())))?,
        };
        History::parse(&file, timeline)
    }
}

impl Server {
    pub(super) async fn take_over(&self, epoch: &Epoch, synchronous: &[SiteId]) -> Result<Act<Wrote>, Error> {
        self.check_startable()?;
        if !self.is_running()? {
            return Err(Error::Refused("no standby runs here that could be promoted".into()));
        }
        let (pass, limits) = (self.pass(), &self.config.limits);
        let mut watch = Stopwatch::start();
        let standby = self.in_recovery().await?;
        self.order_wait(epoch, synchronous, pass).await?;
        if standby {
            self.sever().await?;
            watch.lap("sever");
            self.ask("promote", "select pg_promote(false)", limits.promote).await?;
            let done = |in_recovery: Option<&str>| in_recovery == Some("f");
            self.until("the promotion", limits.promote, "select pg_is_in_recovery()", done).await?;
            watch.lap("promote");
        }
        let wrote = self.begin_epoch(epoch, watch).await?;
        if let Err(e) = self.config.forget_given_up() {
            tracing::warn!(site = %self.config.site, "a later report will name an old export: {e}");
        }
        self.prove_heeded();
        tokio::spawn(allow_rewinds(self.config.clone()));
        Ok(if standby { Act::Done(wrote) } else { Act::AlreadyDone(wrote) })
    }

    /// Cuts the stream from the old writer, so that nothing which it still acknowledges arrives after we counted
    /// (SAFETY.md item 8). The lease file has no upstream already. Two looks, because the startup process may just
    /// have been starting a receiver when it was told.
    async fn sever(&self) -> Result<(), Error> {
        let mut empty = 0;
        let gone = |receivers: Option<&str>| {
            empty = if receivers == Some("0") { empty + 1 } else { 0 };
            empty == 2
        };
        let (what, receivers) = ("cutting the stream from the old writer", "select count(*) from pg_stat_wal_receiver");
        self.until(what, self.config.limits.promote, receivers, gone).await
    }

    /// The first write of an epoch. A repeated call changes nothing.
    pub(super) async fn begin_epoch(&self, epoch: &Epoch, mut watch: Stopwatch) -> Result<Wrote, Error> {
        let (timeline, lsn) = self.beginning(epoch).await?;
        let record = format!(
            "begin; set local synchronous_commit = local; \
             insert into antipode.epochs (number, site, timeline, lsn) values ({}, {}, {timeline}, '{lsn}') \
             on conflict do nothing; commit",
            epoch.number,
            literal(epoch.site.as_str()),
        );
        let within = self.config.limits.start;
        match self.ask("record the epoch", &record, within).await {
            Err(e) if e.is_sql(&[SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME]) => {
                let _ = self.ask("give up the transaction", "rollback", within).await;
                self.create_objects().await?;
                self.ask("record the epoch", &record, within).await?;
            }
            result => drop(result?),
        }
        watch.lap("first write");
        Ok(Wrote { timeline, lsn, phases: watch.phases })
    }

    /// Timeline and position at which this epoch began. What a promotion made is remembered beside the data.
    async fn beginning(&self, epoch: &Epoch) -> Result<(u32, Lsn), Error> {
        let now = "select ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int as timeline, \
                   pg_current_wal_insert_lsn() as lsn";
        let rows = match self.ask("ask for the timeline", now, self.config.limits.start).await {
            Err(e) if e.is_sql(&[SqlState::INVALID_CATALOG_NAME]) => {
                self.create_objects().await?;
                self.ask("ask for the timeline", now, self.config.limits.start).await?
            }
            result => result?,
        };
        let row = rows.first().ok_or_else(|| Error::parse("an empty answer", now))?;
        let timeline =
            column(row, "timeline").parse().map_err(|_| Error::parse("a timeline", column(row, "timeline")))?;
        let lsn = column(row, "lsn").parse().map_err(|why: String| Error::parse("a position", why))?;
        let known = self.config.made();
        if timeline == 1 || known.as_ref().is_some_and(|made| made.timeline == timeline && made.epoch != *epoch) {
            return Ok((timeline, lsn)); // started again, not promoted
        }
        let made = Made { epoch: epoch.clone(), timeline, lsn: self.config.history(timeline)?.began() };
        let text = serde_json::to_string(&made).expect("plain data serialises");
        self.config.write(&self.config.home.join("made.json"), &text)?;
        Ok((timeline, made.lsn))
    }

    /// Roles, the workload's database, and the table of epochs; only what is missing.
    async fn create_objects(&self) -> Result<(), Error> {
        let (config, within) = (&self.config, self.config.limits.start);
        let (replica, login) = (&config.replica, &config.application.login);
        let admin = Session::local(config, "postgres", config.limits.start).await?;
        // No standby exists yet that a commit could wait for; and no password may reach the log.
        let quiet = "set synchronous_commit = local; set log_min_error_statement = panic";
        admin.run("prepare", quiet, within).await?;
        for (login, options) in [(replica, "login replication bypassrls"), (login, "login")] {
            let role = identifier(&login.role);
            let known = format!("select 1 from pg_roles where rolname = {}", literal(&login.role));
            if admin.value("look for a role", &known, within).await?.is_none() {
                admin.run("create a role", &format!("create role {role}"), within).await?;
            }
            let sql = format!("alter role {role} {options} password {}", literal(&login.password));
            admin.run("set up a role", &sql, within).await?;
        }
        // It reads all rows, past policies too, for the comparison before a rewind. That adds nothing to what it may do: a
        // base backup holds every row. A role of its own would be one more password with the same reach.
        let replica = identifier(&replica.role);
        let grants = format!(
            "grant pg_monitor, pg_checkpoint, pg_read_all_data to {replica}; \
             grant execute on function pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), \
             pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean), \
             pg_read_file(text) to {replica}"
        );
        admin.run("allow rewinds", &grants, within).await?;
        let (database, owner) = (&config.application.database, identifier(&login.role));
        let known = format!("select 1 from pg_database where datname = {}", literal(database));
        if admin.value("look for the database", &known, within).await?.is_none() {
            let sql = format!("create database {} owner {owner}", identifier(database));
            admin.run("create the database", &sql, within).await?;
        }
        let own = Session::local(config, database, config.limits.start).await?;
        own.run("prepare", quiet, within).await?;
        let table = format!(
            "create schema if not exists antipode; \
             create table if not exists antipode.epochs (number bigint not null, site text not null, \
             timeline int not null, lsn pg_lsn not null, at timestamptz not null default now(), \
             primary key (number, site)); \
             grant usage on schema antipode to {owner}, {replica}; \
             grant select on antipode.epochs to {owner}, {replica}"
        );
        own.run("create the table of epochs", &table, within).await
    }

    pub(super) async fn in_recovery(&self) -> Result<bool, Error> {
        let role = "select pg_is_in_recovery() as recovery";
        let rows = self.ask("ask for the role", role, self.config.limits.promote).await?;
        Ok(rows.first().is_some_and(|row| column(row, "recovery") == "t"))
    }

    /// Makes the server read its configuration, and waits until it has.
    pub(super) async fn reload(&self) -> Result<(), Error> {
        let loaded = "select pg_conf_load_time()";
        let rows = self.ask("ask for the configuration", loaded, self.config.limits.promote).await?;
        let before = rows.first().and_then(|row| row.get(0)).map(str::to_owned);
        self.ask("reload", "select pg_reload_conf()", self.config.limits.promote).await?;
        let read = |now: Option<&str>| now != before.as_deref();
        self.until("reading the configuration", self.config.limits.promote, loaded, read).await
    }

    /// Asks the same question until its answer will do. No answer in time is not the end: the machine may be busy.
    pub(super) async fn until(
        &self,
        what: &str,
        within: Duration,
        question: &str,
        mut holds: impl FnMut(Option<&str>) -> bool + Send,
    ) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            match self.value(what, question).await {
                Ok(answer) if holds(answer.as_deref()) => return Ok(()),
                Ok(_) | Err(Error::Slow { .. } | Error::Silent(_)) => {}
                Err(e) => return Err(e),
            }
            if started.elapsed() > within {
                return Err(Error::Slow { what: what.to_owned(), after: within });
            }
            sleep(self.config.limits.poll).await;
        }
    }
}

/// Reserves log for the other regions, then a checkpoint: until the control file names the new timeline a rewind against
/// this server does nothing and says that all is well (SAFETY.md item 12). Apart from the promotion, which must not wait
/// for it; `follow` checks that it happened.
async fn allow_rewinds(config: Config) {
    let within = config.limits.start;
    let work = async {
        let session = Session::local(&config, "postgres", within).await?;
        for peer in &config.peers {
            session.reserve(peer, within).await?;
        }
        session.run("checkpoint", "checkpoint", within).await
    };
    if let Err(e) = work.await {
        tracing::warn!(site = %config.site, "after the promotion: {e}");
    }
}
