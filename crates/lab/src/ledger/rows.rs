//! Which of the clients' writes the present writer holds.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::NoTls;

use super::entry::WriteId;

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

/// An effect is a case that was opened; the table has no unique key on the ledger's numbers, so that a second effect
/// shows.
const EFFECTS: &str = "SELECT ledger_client, ledger_seq, count(*) FROM case_api.cases
                       WHERE ledger_client IS NOT NULL GROUP BY 1, 2";

/// Reads all rows from the writer at `config`, within `limit`.
///
/// Errors: no answer, no such tables, or a server in recovery.
pub async fn fetch(config: &tokio_postgres::Config, limit: Duration) -> Result<Rows, FetchError> {
    timeout(limit, read(config)).await.unwrap_or(Err(FetchError::Timeout(limit)))
}

async fn read(config: &tokio_postgres::Config) -> Result<Rows, FetchError> {
    let (client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    let found = async {
        if client.query_one("SELECT pg_is_in_recovery()", &[]).await?.get(0) {
            return Err(FetchError::Standby);
        }
        let mut rows = Rows::default();
        for row in client.query(EFFECTS, &[]).await? {
            let (client, seq, count): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
            let number = |number: i64| u64::try_from(number).map_err(|_| FetchError::Number(number));
            rows.insert(WriteId::new(client, number(seq)?), number(count)?);
        }
        Ok(rows)
    };
    let found = found.await;
    connection.abort();
    found
}
