//! The tables, made by whichever instance first finds a writer without them.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

const VERSION: i32 = 1;
const CREATE: &str = include_str!("schema.sql");
/// Any number will do, as long as every instance takes the same lock.
const LOCK: i64 = 0x6361_7365_2d61_7069;

/// Whether the tables of this version are there.
pub async fn is_present(client: &Client) -> Result<bool, Error> {
    let found = client.query_typed("SELECT to_regclass('case_api.schema_version') IS NOT NULL", &[]).await?;
    if !found.first().is_some_and(|row| row.get(0)) {
        return Ok(false);
    }
    let sql = "SELECT 1 FROM case_api.schema_version WHERE version >= $1";
    Ok(!client.query_typed(sql, &[(&VERSION, Type::INT4)]).await?.is_empty())
}

/// Creates the tables in one transaction, unless another instance just did.
pub async fn create(client: &Client) -> Result<(), Error> {
    client.batch_execute("BEGIN").await?;
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)]).await?;
    if !is_present(client).await? {
        client.batch_execute(CREATE).await?;
    }
    client.batch_execute("COMMIT").await
}
