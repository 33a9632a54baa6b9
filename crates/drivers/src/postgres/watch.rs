//! What the server is and does, asked through one kept session.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use model::observe::StandbyReport;
use model::{Epoch, Lsn, SiteId};
use tokio_postgres::SimpleQueryRow;
use tokio_postgres::error::SqlState;

use super::config::synchronous_names;
use super::server::{Pass, Server};
use super::session::{Session, column, literal};
use super::{Error, Observed, ServerState};
use crate::Act;

/// Since when the standby has not replayed all that it received, by our own clock.
#[derive(Default)]
pub(super) struct LagClock {
    caught_up: Option<Instant>,
}

impl LagClock {
    fn lag(&mut self, now: Instant, received: Lsn, replayed: Lsn) -> Duration {
        if replayed >= received {
            self.caught_up = Some(now);
        }
        now.saturating_duration_since(*self.caught_up.get_or_insert(now))
    }
}

/// When the log reached which position, by our own clock: how old the first byte is that a standby has not flushed.
///
/// The server's own `flush_lag` is that of the last flush that the standby told of. It stays where it was while a
/// standby tells nothing more, however much is waiting.
#[derive(Default)]
pub(super) struct Written {
    looks: VecDeque<(Instant, Lsn)>,
}

/// So many looks are kept: some minutes of them. A standby that is further behind is as far behind as the oldest.
const LOOKS: usize = 4096;

impl Written {
    fn reached(&mut self, now: Instant, position: Lsn) {
        match self.looks.back_mut() {
            // Nothing was written since: what comes next is younger than this look.
            Some((at, known)) if *known == position => *at = now,
            // A server that began anew.
            Some((_, known)) if *known > position => self.looks = VecDeque::from([(now, position)]),
            _ => self.looks.push_back((now, position)),
        }
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
    }

    /// At most this long ago was the oldest byte above `flushed` written.
    fn lag(&self, now: Instant, flushed: Lsn) -> Duration {
        let newest = self.looks.back().map(|(_, position)| *position);
        if newest.is_none_or(|newest| flushed >= newest) {
            return Duration::ZERO;
        }
        let had = self.looks.iter().rev().find(|(_, position)| *position <= flushed);
        had.or(self.looks.front()).map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
    }
}

const STATE: &str = "
    select pg_is_in_recovery() as recovery, current_setting('antipode.upstream', true) as upstream,
        r.status, r.latest_end_lsn, r.received_tli, c.timeline_id, m.min_recovery_end_timeline,
        case when pg_is_in_recovery() then pg_last_wal_receive_lsn() end as received,
        case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end as position,
        case when not pg_is_in_recovery()
            then ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end as writing_tli
    from pg_control_checkpoint() c cross join pg_control_recovery() m left join pg_stat_wal_receiver r on true;
    select application_name, state, sync_state, sent_lsn, flush_lsn, replay_lsn,
        (extract(epoch from flush_lag) * 1000000)::bigint as lag
    from pg_stat_replication where state <> 'backup' and application_name <> 'pg_basebackup'";

const WRITTEN: &str = "select number, site from antipode.epochs order by number desc, site desc limit 1";

/// Rounded down to a second, so that it can be read and typed: never later than what is there.
const LAST_COMMIT: &str = "
    select coalesce(to_char(date_trunc('second', pg_last_xact_replay_timestamp()) at time zone 'UTC',
        'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '') as moment
    where pg_is_in_recovery()";

impl Server {
    pub(super) async fn look(&self) -> Observed {
        let nothing = |server| Observed { server, timeline: 0, written: Epoch::none(), standbys: Vec::new() };
        if !self.config.has_data() {
            return nothing(if self.config.unfinished().exists() {
                ServerState::Unfinished
            } else {
                ServerState::Absent
            });
        }
        // Its children may live on and even answer, but nobody reaps, restarts or sends for them any more.
        if self.postmaster_died() {
            return nothing(ServerState::Stopped);
        }
        let limit = self.config.limits.query;
        let error = match self.ask("observe", STATE, limit).await {
            Ok(rows) if !rows.is_empty() => {
                let written = self.ask("ask for the epoch", WRITTEN, limit).await;
                return self.read(&rows, written.ok().as_deref().and_then(<[_]>::first));
            }
            Ok(_) => Error::Silent("an empty answer".into()),
            Err(e) => e,
        };
        match self.is_running() {
            Ok(false) if self.config.unfinished().exists() => nothing(ServerState::Unfinished),
            Ok(false) => nothing(ServerState::Stopped),
            _ if error.is_sql(&[SqlState::CANNOT_CONNECT_NOW]) => nothing(ServerState::Starting),
            _ if self.config.socket().exists() => nothing(ServerState::Unresponsive),
            _ => nothing(ServerState::Starting),
        }
    }

    pub(super) async fn find_last_replayed_commit(&self) -> Result<Option<String>, Error> {
        let rows = self.ask("ask for the last replayed commit", LAST_COMMIT, self.config.limits.query).await?;
        let moment = rows.first().map(|row| column(row, "moment").to_owned());
        Ok(moment.filter(|moment| !moment.is_empty()))
    }

    fn read(&self, rows: &[SimpleQueryRow], written: Option<&SimpleQueryRow>) -> Observed {
        let (state, standbys) = (&rows[0], &rows[1..]);
        let position = lsn(state, "position");
        let server = match column(state, "recovery") {
            "t" => {
                let received = lsn(state, "received").max(position);
                let mut clock = self.lag.lock().unwrap_or_else(PoisonError::into_inner);
                ServerState::Standby {
                    upstream: SiteId::new(column(state, "upstream")),
                    receiving: column(state, "status") == "streaming",
                    received,
                    replayed: position,
                    upstream_end: lsn(state, "latest_end_lsn"),
                    lag: clock.lag(Instant::now(), received, position),
                }
            }
            _ => ServerState::Writing { position },
        };
        let standbys = self.standbys(standbys, position, matches!(server, ServerState::Writing { .. }));
        let timelines = ["writing_tli", "received_tli", "min_recovery_end_timeline", "timeline_id"];
        let timeline = timelines.iter().filter_map(|name| column(state, name).parse().ok()).find(|tli| *tli > 0);
        let written = written.and_then(|row| {
            Some(Epoch { number: column(row, "number").parse().ok()?, site: SiteId::new(column(row, "site")) })
        });
        Observed { server, timeline: timeline.unwrap_or(0), written: written.unwrap_or_else(Epoch::none), standbys }
    }

    fn standbys(&self, rows: &[SimpleQueryRow], position: Lsn, writes: bool) -> Vec<StandbyReport> {
        let (mut written, now) = (self.written.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if writes {
            written.reached(now, position);
        }
        let standby = |row| {
            let known = standby(row, position, self.heed.known());
            StandbyReport { lag: known.lag.max(written.lag(now, known.flushed)), ..known }
        };
        rows.iter().map(standby).collect()
    }

    /// The kept session, or a new one.
    async fn session(&self, within: Duration) -> Result<Arc<Session>, Error> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| session.is_open()) {
            return Ok(session.clone());
        }
        let database = &self.config.application.database;
        let session = Arc::new(Session::local(&self.config, database, within).await?);
        *kept = Some(session.clone());
        Ok(session)
    }

    /// Asks through the kept session, and drops it when it did not answer.
    pub(super) async fn ask(&self, what: &str, sql: &str, within: Duration) -> Result<Vec<SimpleQueryRow>, Error> {
        let session = self.session(within).await?;
        let answer = session.rows(what, sql, within).await;
        if answer.as_ref().is_err_and(|e| !e.answered()) {
            *self.session.lock().await = None;
        }
        answer
    }

    pub(super) async fn value(&self, what: &str, sql: &str) -> Result<Option<String>, Error> {
        let rows = self.ask(what, sql, self.config.limits.query).await?;
        Ok(rows.first().and_then(|row| row.get(0)).map(str::to_owned))
    }

    pub(super) async fn name_synchronous(&self, standbys: &[SiteId]) -> Result<Act, Error> {
        let pass = self.pass();
        if !self.is_running()? || self.in_recovery().await? {
            return Err(Error::Refused("this server does not write".into()));
        }
        let names = synchronous_names(standbys);
        let current = "select current_setting('synchronous_standby_names')";
        let known = self.value("ask for the synchronous standbys", current).await?.as_deref() == Some(&names);
        let epoch =
            "select current_setting('antipode.epoch') as number, current_setting('antipode.epoch_site') as site";
        let rows = self.ask("ask for the epoch", epoch, self.config.limits.query).await?;
        let epoch = rows.first().and_then(|row| {
            Some(Epoch { number: column(row, "number").parse().ok()?, site: SiteId::new(column(row, "site")) })
        });
        let epoch = epoch.ok_or_else(|| Error::Refused("this server was not started with an epoch".into()))?;
        // What one session has read, another may not have: an order that comes again is carried out again.
        self.order_wait(&epoch, standbys, pass).await?;
        Ok(if known { Act::AlreadyDone(()) } else { Act::Done(()) })
    }

    /// Tells a running server whom commits wait for. When that is somebody, [`Heed`] knows when it is in effect.
    pub(super) async fn order_wait(&self, epoch: &Epoch, standbys: &[SiteId], pass: Pass) -> Result<(), Error> {
        let current = "select current_setting('synchronous_standby_names')";
        let before = self.value("ask for the synchronous standbys", current).await?.unwrap_or_default();
        match (before.is_empty(), standbys.is_empty()) {
            (true, false) => self.heed.doubt(),
            (_, true) => self.heed.started(),
            (false, false) => {}
        }
        self.write_lease(&self.config.writer_lease(epoch, standbys), pass)?;
        self.reload().await?;
        if !self.in_recovery().await? {
            self.prove_heeded();
        }
        Ok(())
    }

    pub(super) async fn flushed(&self, position: Lsn, standby: &SiteId, within: Duration) -> Result<Act, Error> {
        let name = literal(standby.as_str());
        let sql = format!(
            "select 1 from pg_stat_replication where application_name = {name} and flush_lsn >= '{position}'::pg_lsn"
        );
        let what = format!("waiting until {standby} has flushed {position}");
        let mut waited = false;
        let there = |flushed: Option<&str>| {
            waited |= flushed.is_none();
            flushed.is_some()
        };
        self.until(&what, within, &sql, there).await?;
        Ok(if waited { Act::Done(()) } else { Act::AlreadyDone(()) })
    }
}

fn standby(row: &SimpleQueryRow, position: Lsn, heeded: bool) -> StandbyReport {
    let flushed = lsn(row, "flush_lsn");
    StandbyReport {
        site: SiteId::new(column(row, "application_name")),
        streaming: column(row, "state") == "streaming",
        synchronous: heeded && matches!(column(row, "sync_state"), "sync" | "quorum"),
        sent: lsn(row, "sent_lsn"),
        flushed,
        replayed: lsn(row, "replay_lsn"),
        lag_bytes: position.since(flushed),
        lag: Duration::from_micros(column(row, "lag").parse().unwrap_or(0)),
    }
}

/// Zero when null: the standby has reported nothing yet.
fn lsn(row: &SimpleQueryRow, name: &str) -> Lsn {
    column(row, name).parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_flushed_is_as_old_as_the_last_look_before_it_was_written() {
        let (mut written, start) = (Written::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (seconds, position) in [(0, 5), (1, 5), (2, 8), (3, 9)] {
            written.reached(at(seconds), Lsn(position));
        }
        assert_eq!(written.lag(at(3), Lsn(9)), Duration::ZERO);
        assert_eq!(written.lag(at(4), Lsn(8)), Duration::from_secs(2), "it grows while the standby tells nothing");
        assert_eq!(written.lag(at(4), Lsn(7)), Duration::from_secs(3), "idle until the first second");
        assert_eq!(written.lag(at(4), Lsn(1)), Duration::from_secs(3), "older than what is known");
        written.reached(at(5), Lsn(2));
        assert_eq!(written.lag(at(6), Lsn(2)), Duration::ZERO, "a server that began anew");
    }

    #[test]
    fn lag_counts_only_while_something_received_is_not_replayed() {
        let (mut clock, start) = (LagClock::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(clock.lag(at(0), Lsn(5), Lsn(5)), Duration::ZERO);
        assert_eq!(clock.lag(at(3), Lsn(9), Lsn(7)), Duration::from_secs(3));
        assert_eq!(clock.lag(at(9), Lsn(9), Lsn(9)), Duration::ZERO, "an idle writer is no lag");
        assert_eq!(clock.lag(at(10), Lsn(10), Lsn(9)), Duration::from_secs(1));
    }
}
