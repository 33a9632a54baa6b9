//! Follows the controller's journal and status during a drill, over its crashes too.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use controller::api::ApiClient;
use controller::journal::Line;
use engine::Record;
use engine::runbook::run::End;
use model::{RunId, SiteId, Time};
use tokio::task::JoinSet;

use crate::ledger;
use crate::world::{WorldError, record, wait_for};

/// How often status is sampled for lag and lease margin: the grain of those curves.
const SAMPLE: Duration = Duration::from_millis(200);

/// One look at a standby's lag.
#[derive(Clone, Debug)]
pub struct Lag {
    pub at: Time,
    pub site: SiteId,
    pub lag: Option<Duration>,
    pub bytes: Option<u64>,
}

#[derive(Default)]
struct Seen {
    lines: Vec<(Line, Record)>,
    lags: Vec<Lag>,
    /// The smallest lease margin while nothing was broken.
    margin: Option<Duration>,
    calm: bool,
}

pub struct Watcher {
    seen: Mutex<Seen>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    api: ApiClient,
}

impl Watcher {
    pub fn start(api: ApiClient) -> Arc<Self> {
        let watcher = Arc::new(Self {
            seen: Mutex::new(Seen { calm: true, ..Seen::default() }),
            tasks: tokio::sync::Mutex::default(),
            api,
        });
        if let Ok(mut tasks) = watcher.tasks.try_lock() {
            tasks.spawn(watcher.clone().follow());
            tasks.spawn(watcher.clone().sample());
        }
        watcher
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn follow(self: Arc<Self>) {
        loop {
            if self.fetch(Duration::from_secs(5)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn fetch(&self, wait: Duration) -> Result<(), controller::rpc::CallError> {
        let lines = self.api.events(self.last_seq() + 1, wait).await?;
        let mut seen = self.seen();
        for line in lines {
            let known = seen.lines.last().map_or(0, |(last, _)| last.seq);
            if line.seq > known
                && let Some(record) = record(&line)
            {
                seen.lines.push((line, record));
            }
        }
        Ok(())
    }

    async fn sample(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SAMPLE).await;
            let Ok(status) = self.api.status().await else { continue };
            let at = ledger::now();
            let mut seen = self.seen();
            if seen.calm {
                let margin = status.writer.as_ref().and_then(|writer| writer.lowest_margin);
                seen.margin = [seen.margin, margin].into_iter().flatten().min();
            }
            for site in status.sites.into_iter().filter(|site| site.upstream.is_some()) {
                seen.lags.push(Lag { at, site: site.site, lag: site.lag, bytes: site.lag_bytes });
            }
        }
    }

    /// Lease margins count only while nothing is broken.
    pub fn mark_calm(&self, calm: bool) {
        self.seen().calm = calm;
    }

    pub fn last_seq(&self) -> u64 {
        self.seen().lines.last().map_or(0, |(line, _)| line.seq)
    }
    pub fn lines(&self) -> Vec<(Line, Record)> {
        self.seen().lines.clone()
    }
    pub fn lags(&self) -> Vec<Lag> {
        self.seen().lags.clone()
    }
    pub fn margin(&self) -> Option<Duration> {
        self.seen().margin
    }

    fn find<T>(&self, found: impl Fn(&Line, &Record) -> Option<T>) -> Option<T> {
        self.seen().lines.iter().find_map(|(line, record)| found(line, record))
    }

    /// The first run that started after line `before`.
    pub async fn wait_for_run(&self, before: u64, within: Duration) -> Result<RunId, WorldError> {
        let started = |line: &Line, record: &Record| match record {
            Record::RunStarted { run, .. } if line.seq > before => Some(*run),
            _ => None,
        };
        wait_for("a run", within, async || self.find(started).is_some()).await?;
        self.find(started).ok_or_else(|| WorldError::Refused("no run".into()))
    }

    pub async fn wait_for_end(&self, of: RunId, within: Duration) -> Result<End, WorldError> {
        let ended = |_: &Line, record: &Record| match record {
            Record::RunEnded { run, end, .. } if *run == of => Some(*end),
            _ => None,
        };
        wait_for(&format!("the end of {of}"), within, async || self.find(ended).is_some()).await?;
        self.find(ended).ok_or_else(|| WorldError::Refused("no end".into()))
    }

    pub async fn wait_for_record(&self, within: Duration, wanted: impl Fn(&Record) -> bool) -> Result<(), WorldError> {
        wait_for("a record", within, async || self.find(|_, record| wanted(record).then_some(())).is_some()).await
    }

    /// Reads what is left and stops.
    pub async fn finish(&self) {
        let _ = self.fetch(Duration::ZERO).await;
        self.tasks.lock().await.shutdown().await;
    }
}
