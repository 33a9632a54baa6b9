//! Which of the clients' writes the present writer holds, and what became of their cases.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use super::entry::{Seen, WriteId};

/// How often each write took effect.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows(BTreeMap<WriteId, u64>);

impl Rows {
    /// Zero when the write is not there.
    pub fn effects(&self, id: &WriteId) -> u64 {
        self.0.get(id).copied().unwrap_or(0)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&WriteId, u64)> {
        self.0.iter().map(|(id, effects)| (id, *effects))
    }

    pub fn insert(&mut self, id: WriteId, effects: u64) {
        self.0.insert(id, effects);
    }
}

impl FromIterator<(WriteId, u64)> for Rows {
    fn from_iter<I: IntoIterator<Item = (WriteId, u64)>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

/// A case at the end, with its audit trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    pub now: Seen,
    /// In the order of versions.
    pub trail: Vec<Trail>,
}

/// One entry of a trail: the command under `key` made this version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trail {
    pub version: u64,
    pub was: Option<String>,
    pub became: String,
    pub key: String,
}

/// Every case by its id.
pub type Cases = BTreeMap<String, Case>;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("cannot read the clients' rows: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error("reading the clients' rows took longer than {}", model::time::human(*.0))]
    Timeout(Duration),
    #[error("the database is a standby: what it holds is not what the writer holds")]
    Standby,
    #[error("a row carries the impossible number {0}")]
    Number(i64),
}

/// An effect is a case that was opened, which has the client's number, or one that was moved on, whose trail has the
/// command's key. No unique key prevents a second effect, so that it shows.
const EFFECTS: &str = "SELECT ledger_client || '-' || ledger_seq, count(*) FROM case_api.cases
                       WHERE ledger_client IS NOT NULL GROUP BY 1
                       UNION ALL
                       SELECT key, count(*) FROM case_api.audit WHERE was IS NOT NULL GROUP BY 1";
const CASES: &str = "SELECT c.id::text, c.state, c.version, a.version, a.was, a.became, a.key
                     FROM case_api.cases c LEFT JOIN case_api.audit a ON a.case_id = c.id
                     ORDER BY c.id, a.version";

/// Reads all rows from the writer at `config`, within `limit`.
///
/// Errors: no answer, no such tables, or a server in recovery.
pub async fn fetch(config: &tokio_postgres::Config, limit: Duration) -> Result<Rows, FetchError> {
    within(config, limit, async |client: &Client| {
        let mut rows = Rows::default();
        for row in client.query(EFFECTS, &[]).await? {
            // Other commands than our clients' have keys too.
            if let Some(id) = WriteId::parse(row.get(0)) {
                rows.insert(id, number(row.get(1))?);
            }
        }
        Ok(rows)
    })
    .await
}

/// Reads every case with its trail, within `limit`.
///
/// Errors: as [`fetch`].
pub async fn fetch_cases(config: &tokio_postgres::Config, limit: Duration) -> Result<Cases, FetchError> {
    within(config, limit, async |client: &Client| {
        let mut cases = Cases::new();
        for row in client.query(CASES, &[]).await? {
            let now = Seen { version: number(row.get(2))?, state: row.get(1) };
            let case = cases.entry(row.get(0)).or_insert(Case { now, trail: Vec::new() });
            if let Some(version) = row.get::<_, Option<i64>>(3) {
                let (was, became, key) = (row.get(4), row.get(5), row.get(6));
                case.trail.push(Trail { version: number(version)?, was, became, key });
            }
        }
        Ok(cases)
    })
    .await
}

fn number(number: i64) -> Result<u64, FetchError> {
    u64::try_from(number).map_err(|_| FetchError::Number(number))
}

async fn within<T>(
    config: &tokio_postgres::Config,
    limit: Duration,
    read: impl AsyncFnOnce(&Client) -> Result<T, FetchError>,
) -> Result<T, FetchError> {
    let all = async {
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let found = async {
            if client.query_one("SELECT pg_is_in_recovery()", &[]).await?.get(0) {
                return Err(FetchError::Standby);
            }
            read(&client).await
        };
        let found = found.await;
        connection.abort();
        found
    };
    timeout(limit, all).await.unwrap_or(Err(FetchError::Timeout(limit)))
}
