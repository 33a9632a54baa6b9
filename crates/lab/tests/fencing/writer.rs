//! Plain SQL writers behind one site's gate, which remember when each of their commits was acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antipode_lab::world::wait_for;
use controller::clock;
use model::{SiteId, Time};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::site::{Lab, PATIENCE};

/// One commit that a client was told of.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    pub id: i64,
    pub at: Time,
    /// When the connection that brought it was opened.
    pub connected: Time,
}

/// Ids are never used twice, whoever writes.
static NEXT: AtomicI64 = AtomicI64::new(1);

pub struct Writers {
    acks: Arc<Mutex<Vec<Ack>>>,
    _tasks: JoinSet<()>,
}

impl Writers {
    /// `count` connections to the gate of `site`, each with one commit under way at any time, reopened when lost.
    pub async fn start(lab: &Lab, site: &SiteId, count: usize) -> Self {
        Self::at(lab.gate(site), count).await
    }

    /// The same at any gate.
    pub async fn at(config: tokio_postgres::Config, count: usize) -> Self {
        let acks = Arc::new(Mutex::new(Vec::new()));
        let (client, _tie) = connect(&config).await.expect("the gate is open");
        client.batch_execute("create table if not exists acks (id bigint primary key)").await.unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            tasks.spawn(write(config.clone(), acks.clone()));
        }
        Self { acks, _tasks: tasks }
    }

    pub fn acks(&self) -> Vec<Ack> {
        self.acks.lock().unwrap().clone()
    }
    pub fn count(&self) -> usize {
        self.acks.lock().unwrap().len()
    }
    pub fn last(&self) -> Time {
        self.acks.lock().unwrap().last().map_or(Time::ZERO, |ack| ack.at)
    }

    /// Until `more` further commits were acknowledged.
    pub async fn wait_for(&self, more: usize) {
        let wanted = self.count() + more;
        wait_for("acknowledgements", PATIENCE, async || self.count() >= wanted).await.unwrap();
    }

    /// No connection that was open at `stopped` may bring an acknowledgement after the right of that time ended.
    pub fn assert_none_late(&self, lab: &Lab, stopped: Time) {
        let right = lab.last_right(stopped);
        let late = self.acks().into_iter().find(|ack| ack.connected < stopped && ack.at > right);
        assert!(late.is_none(), "{late:?} was acknowledged after {right}, frozen at {stopped}");
    }

    /// Whether an acknowledgement came over a connection that was opened since `from`: no healthy gate cuts one.
    pub fn were_cut(&self, from: Time) -> bool {
        self.acks().iter().any(|ack| ack.connected > from)
    }

    /// The longest time between two acknowledgements since `from`, and until now.
    pub fn longest_gap(&self, from: Time) -> Duration {
        let times = self.acks().into_iter().map(|ack| ack.at).filter(|at| *at > from).chain([clock::now()]);
        let gaps = times.scan(from, |last, at| Some(at.since(std::mem::replace(last, at))));
        gaps.max().unwrap_or_default()
    }

    /// Acknowledged ids that the database behind `site`'s gate does not have, among those acknowledged before `until`.
    pub async fn missing(&self, lab: &Lab, site: &SiteId, until: Time) -> Vec<i64> {
        let (client, _tie) = connect(&lab.gate(site)).await.expect("the gate is open");
        let rows = client.query("select id from acks", &[]).await.unwrap();
        let present: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        let acks = self.acks().into_iter().filter(|ack| ack.at < until && !present.contains(&ack.id));
        acks.map(|ack| ack.id).collect()
    }
}

/// A session, and the task that carries it.
pub async fn connect(config: &tokio_postgres::Config) -> Result<(Client, JoinSet<()>), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let mut tie = JoinSet::new();
    tie.spawn(async move { drop(connection.await) });
    Ok((client, tie))
}

async fn write(config: tokio_postgres::Config, acks: Arc<Mutex<Vec<Ack>>>) {
    loop {
        let connected = clock::now();
        if let Ok((client, _tie)) = connect(&config).await {
            loop {
                let id = NEXT.fetch_add(1, Ordering::Relaxed);
                // Never given up: a commit that is frozen on its way is what these tests are about.
                if client.execute("insert into acks values ($1)", &[&id]).await.is_err() {
                    break;
                }
                acks.lock().unwrap().push(Ack { id, at: clock::now(), connected });
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// See [`epoch_began_at`].
pub async fn epoch_began(lab: &Lab, site: &SiteId) -> Time {
    epoch_began_at(&lab.gate(site)).await
}

/// When the newest writer behind this gate recorded its first write, on this machine's monotonic clock.
pub async fn epoch_began_at(gate: &tokio_postgres::Config) -> Time {
    let (client, _tie) = connect(gate).await.expect("the gate is open");
    let newest = "select (extract(epoch from clock_timestamp() - at) * 1000000)::bigint from antipode.epochs \
                  order by number desc, site desc limit 1";
    let row = client.query_one(newest, &[]).await.unwrap();
    let ago: i64 = row.get(0);
    Time(clock::now().0.saturating_sub(ago as u64))
}
