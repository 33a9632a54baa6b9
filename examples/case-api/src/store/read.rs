//! Questions that change nothing.

use serde_json::{Value, json};
use tokio::time::timeout_at;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::effect::Param;
use super::{Failure, Store, describe};

const COLUMNS: &str = "id::text, subject, state, version, ledger_client, ledger_seq, epoch, lsn::text, site,
                       to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.USZ')";
const TRAIL: &str = "SELECT version, was, became, key, epoch, lsn::text, site, instance,
                            to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.USZ')
                     FROM case_api.audit WHERE case_id = $1::uuid ORDER BY version";
/// Most cases in one answer.
pub const PAGE: i64 = 1000;

impl Store {
    /// A case, and the epoch of the writer that says so, in one snapshot.
    pub async fn case(&self, id: &str) -> Result<(Option<Value>, i64), Failure> {
        let sql = format!(
            "SELECT {COLUMNS}, writer.epoch_now FROM (SELECT case_api.epoch() AS epoch_now) AS writer
             LEFT JOIN case_api.cases ON id = $1::uuid"
        );
        let rows = self.ask(&sql, &[(&id, Type::TEXT)]).await?;
        let row = rows.first().ok_or_else(|| Failure::Refused("the database gave an empty answer".into()))?;
        Ok((row.get::<_, Option<&str>>(0).map(|_| case(row)), row.get(10)))
    }

    /// The audit trail of a case, oldest first; empty when there is no such case.
    pub async fn trail(&self, id: &str) -> Result<Vec<Value>, Failure> {
        Ok(self.ask(TRAIL, &[(&id, Type::TEXT)]).await?.iter().map(entry).collect())
    }

    /// At most [`PAGE`] cases of one client, numbered above `after`, in order.
    pub async fn cases_of(&self, client: &str, after: i64) -> Result<Vec<Value>, Failure> {
        let sql = format!(
            "SELECT {COLUMNS} FROM case_api.cases WHERE ledger_client = $1 AND ledger_seq > $2 ORDER BY ledger_seq LIMIT {PAGE}"
        );
        let rows = self.ask(&sql, &[(&client, Type::TEXT), (&after, Type::INT8)]).await?;
        Ok(rows.iter().map(case).collect())
    }

    /// Deep readiness: the writer answers, it is not in recovery, our tables are there, and the epoch can be read.
    pub async fn writer_epoch(&self) -> Result<i64, Failure> {
        let deadline = self.deadline();
        let session = self.pool.get(deadline).await?;
        let questions = async {
            let row = session.client().query_typed_one("SELECT pg_is_in_recovery()", &[]).await?;
            if row.get(0) {
                return Ok(None);
            }
            self.prepare_schema(&session).await?;
            let row = session.client().query_typed_one("SELECT case_api.epoch()", &[]).await?;
            Ok::<_, tokio_postgres::Error>(Some(row.get(0)))
        };
        let epoch = match timeout_at(deadline, questions).await {
            Err(_) => return Err(Failure::Refused("the database did not answer in time".into())),
            Ok(result) => result.map_err(|error| Failure::Refused(describe(&error)))?,
        };
        session.give_back();
        epoch.ok_or_else(|| Failure::Refused("the database is in recovery".into()))
    }

    async fn ask(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failure> {
        let deadline = self.deadline();
        let session = self.begin(deadline).await?;
        let questions = async {
            let rows = session.client().query_typed(sql, params).await?;
            session.client().batch_execute("COMMIT").await?;
            Ok::<_, tokio_postgres::Error>(rows)
        };
        let rows = match timeout_at(deadline, questions).await {
            Err(_) => return Err(Failure::Refused("the database did not answer in time".into())),
            Ok(result) => result.map_err(|error| Failure::Refused(describe(&error)))?,
        };
        session.give_back();
        Ok(rows)
    }
}

fn case(row: &Row) -> Value {
    let ledger = row
        .get::<_, Option<&str>>(4)
        .zip(row.get::<_, Option<i64>>(5))
        .map(|(client, seq)| json!({ "client": client, "seq": seq }));
    json!({
        "id": row.get::<_, &str>(0),
        "subject": row.get::<_, &str>(1),
        "state": row.get::<_, &str>(2),
        "version": row.get::<_, i64>(3),
        "ledger": ledger,
        "epoch": row.get::<_, i64>(6),
        "lsn": row.get::<_, &str>(7),
        "site": row.get::<_, &str>(8),
        "changed_at": row.get::<_, &str>(9),
    })
}

fn entry(row: &Row) -> Value {
    json!({
        "version": row.get::<_, i64>(0),
        "was": row.get::<_, Option<&str>>(1),
        "became": row.get::<_, &str>(2),
        "key": row.get::<_, &str>(3),
        "epoch": row.get::<_, i64>(4),
        "lsn": row.get::<_, &str>(5),
        "site": row.get::<_, &str>(6),
        "instance": row.get::<_, &str>(7),
        "at": row.get::<_, &str>(8),
    })
}
