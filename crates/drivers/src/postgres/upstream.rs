//! What must be known of an upstream before it can be followed.

use model::Lsn;

use super::history::History;
use super::promote::Made;
use super::session::{Session, column, literal};
use super::{Error, Upstream, config::Config};

/// A writer that can be followed.
pub(super) struct Source {
    session: Session,
    upstream: Upstream,
    pub system: String,
    pub timeline: u32,
    pub history: History,
    pub position: Lsn,
}

const STATE: &str = "
    select pg_is_in_recovery() as recovery, s.system_identifier, c.timeline_id, m.min_recovery_end_timeline
    from pg_control_system() s cross join pg_control_checkpoint() c cross join pg_control_recovery() m";

const POSITION: &str = "
    select pg_current_wal_flush_lsn() as position,
        ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int as timeline";

impl Source {
    /// # Errors
    /// [`Error::Upstream`] when it is itself a standby; when it does not answer.
    pub async fn examine(config: &Config, upstream: &Upstream) -> Result<Self, Error> {
        let session = Session::upstream(config, upstream, "postgres").await?;
        let within = config.replication_timeout;
        let unfit = |why: &str| Error::Upstream { site: upstream.site.clone(), why: why.to_owned() };
        let rows = session.rows("examine the upstream", STATE, within).await?;
        let state = rows.first().ok_or_else(|| unfit("it gave an empty answer"))?;
        if column(state, "recovery") != "f" {
            return Err(unfit("it does not write"));
        }
        let rows = session.rows("ask the upstream for its position", POSITION, within).await?;
        let now = rows.first().ok_or_else(|| unfit("it gave an empty answer"))?;
        let timeline = column(now, "timeline").parse().map_err(|_| unfit("it does not say its timeline"))?;
        let position = column(now, "position").parse().map_err(|_| unfit("it does not say its position"))?;
        let file = match timeline {
            1 => None,
            _ => {
                let sql = format!("select pg_read_file('pg_wal/{timeline:08X}.history')");
                session.value("read the upstream's history", &sql, within).await?
            }
        };
        let history = History::parse(&file.unwrap_or_default(), timeline)?;
        let system = column(state, "system_identifier").to_owned();
        Ok(Self { session, upstream: upstream.clone(), system, timeline, history, position })
    }

    /// A session in the workload's database, which reads rows.
    pub async fn reader(&self, config: &Config) -> Result<Session, Error> {
        Session::upstream(config, &self.upstream, &config.application.database).await
    }

    /// Makes it keep log for us from now on.
    pub async fn reserve(&self, config: &Config) -> Result<(), Error> {
        self.session.reserve(&config.site, config.replication_timeout).await
    }

    /// Makes sure that its control file names its timeline, without which a rewind silently does nothing (SAFETY.md item 12).
    pub async fn checkpointed(&self, config: &Config) -> Result<(), Error> {
        let sql = "select timeline_id from pg_control_checkpoint()";
        let mut named = String::new();
        for last_try in [false, true] {
            let answer = self.session.value("ask for the last checkpoint", sql, config.replication_timeout).await?;
            named = answer.unwrap_or_default();
            if named.parse() == Ok(self.timeline) {
                return Ok(());
            }
            if !last_try {
                self.session.run("checkpoint the upstream", "checkpoint", config.limits.start).await?;
            }
        }
        let why = format!("it writes timeline {} and its last checkpoint is on timeline {named}", self.timeline);
        Err(Error::Upstream { site: self.upstream.site.clone(), why })
    }

    /// Whether the timeline that we made is the one of the same number in the upstream's past: the epoch's record is the
    /// first write on it, so whoever descends from it has that.
    pub async fn descends_from(&self, config: &Config, made: &Made) -> Result<bool, Error> {
        let session = Session::upstream(config, &self.upstream, &config.application.database).await?;
        let sql = format!(
            "select 1 from antipode.epochs where number = {} and site = {} and timeline = {} and lsn = '{}'",
            made.epoch.number,
            literal(made.epoch.site.as_str()),
            made.timeline,
            made.lsn,
        );
        Ok(session.value("look for our epoch at the upstream", &sql, config.replication_timeout).await?.is_some())
    }
}
