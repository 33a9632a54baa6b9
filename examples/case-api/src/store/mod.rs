//! Commands take effect here: at most once for each key, in one transaction, with an answer that never claims more
//! than is known.
//!
//! - **refused**: nothing was committed by this attempt, for certain.
//! - **unknown**: it may have been committed. The client asks again with the same key and learns the truth.
//!
//! A warning during COMMIT means unknown: the server says it when a wait for the synchronous standby was cancelled, and
//! then reports success (SAFETY.md item 8). Replaying a stored answer writes too, so that its commit also waits for
//! the standby: otherwise the retry of such a commit would acknowledge what only the writer holds.

pub mod effect;
pub mod pool;
pub mod read;
pub mod schema;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::command::Command;
use crate::config::Config;
use effect::Answer;
use pool::{Pool, PoolError, Session};

/// How long after the deadline a request still waits for its own task to say which side of COMMIT it was on.
const VERDICT_GRACE: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing was committed.
    #[error("{0}")]
    Refused(String),
    /// It may have been committed.
    #[error("{0}")]
    Unknown(String),
    /// The key stands for another command.
    #[error("this Idempotency-Key was used for another command")]
    KeyReused,
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Failure::Refused(error.to_string())
    }
}

/// The regional way to the writer.
pub struct Store {
    pool: Arc<Pool>,
    request_timeout: Duration,
    origin: Origin,
    has_schema: AtomicBool,
}

/// Where rows say they were written.
#[derive(Clone)]
pub struct Origin {
    pub site: String,
    pub instance: String,
}

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Done {
    pub answer: Answer,
    /// The writer's epoch at the time of this very attempt; the stored answer's may be older.
    pub writer_epoch: i64,
    pub replayed: bool,
}

impl Store {
    pub fn new(config: &Config) -> Result<Arc<Self>, tokio_postgres::Error> {
        let mut database: tokio_postgres::Config = config.database_url.0.parse()?;
        // Below the request's deadline, so that a command that waits for its own twin is told so.
        let lock_timeout = (config.request_timeout * 3 / 4).as_millis().max(1);
        let options = format!("-c lock_timeout={lock_timeout} -c idle_in_transaction_session_timeout=30s");
        database
            .options(options)
            .application_name(format!("case-api/{}/{}", config.site, config.instance))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(1))
            .keepalives_retries(3);
        Ok(Arc::new(Self {
            pool: Pool::new(database, config.connect_timeout, config.pool_size),
            request_timeout: config.request_timeout,
            origin: Origin { site: config.site.clone(), instance: config.instance.clone() },
            has_schema: AtomicBool::new(false),
        }))
    }

    pub fn deadline(&self) -> Instant {
        Instant::now() + self.request_timeout
    }

    /// Carries out `command`, or finds what came of it when it was carried out before.
    ///
    /// The work runs in a task of its own: neither the deadline nor a client that hangs up interrupts a COMMIT, for
    /// an abandoned one would leave a server process that waits for the standby and that nobody counts.
    pub async fn execute(self: &Arc<Self>, command: Command) -> Result<Done, Failure> {
        let deadline = self.deadline();
        let store = self.clone();
        let work = tokio::spawn(async move { store.attempt(&command, deadline).await });
        match timeout_at(deadline + VERDICT_GRACE, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::Unknown("the command's task ended early".into())),
            Err(_) => Err(Failure::Unknown("the commit was not confirmed in time".into())),
        }
    }

    async fn attempt(&self, command: &Command, deadline: Instant) -> Result<Done, Failure> {
        let session = self.begin(deadline).await?;
        let mine = match timeout_at(deadline, claim(&session, command)).await {
            Err(_) => return Err(Failure::Unknown(TWIN.into())),
            Ok(Err(error)) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                return Err(Failure::Unknown(TWIN.into()));
            }
            Ok(result) => result.map_err(|error| self.refused(&error))?,
        };
        let work = async {
            if mine {
                effect::carry_out(&session, command, &self.origin).await
            } else {
                replay(&session, command).await
            }
        };
        let done = match timeout_at(deadline, work).await {
            Err(_) => return Err(Failure::Refused("the database did not answer in time".into())),
            Ok(Err(StepError::Failure(failure))) => return Err(failure),
            Ok(Err(StepError::Database(error))) => return Err(self.refused(&error)),
            Ok(Ok(done)) => done,
        };
        commit(session).await?;
        Ok(done)
    }

    /// An open transaction on a database with our tables.
    pub async fn begin(&self, deadline: Instant) -> Result<Session, Failure> {
        loop {
            let session = self.pool.get(deadline).await?;
            let ready = async {
                if !self.has_schema.load(Ordering::Relaxed) {
                    self.prepare_schema(&session).await?;
                }
                session.client().batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await
            };
            match timeout_at(deadline, ready).await {
                Err(_) => return Err(Failure::Refused("the database did not answer in time".into())),
                Ok(Ok(())) => return Ok(session),
                // The server closed it while it was idle: nothing was sent that could have an effect.
                Ok(Err(error)) if session.reused && error.as_db_error().is_none() => continue,
                Ok(Err(error)) => return Err(self.refused(&error)),
            }
        }
    }

    async fn prepare_schema(&self, session: &Session) -> Result<(), tokio_postgres::Error> {
        if !schema::is_present(session.client()).await? {
            schema::create(session.client()).await?;
            tracing::info!("created the tables");
        }
        self.has_schema.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The error of a statement before COMMIT.
    fn refused(&self, error: &tokio_postgres::Error) -> Failure {
        // A standby may have been promoted before our tables reached it: look again next time.
        if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) {
            self.has_schema.store(false, Ordering::Relaxed);
        }
        Failure::Refused(describe(error))
    }
}

const TWIN: &str = "another attempt with this Idempotency-Key has not ended yet";

/// A step of a transaction that failed before COMMIT.
pub enum StepError {
    Failure(Failure),
    Database(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for StepError {
    fn from(error: tokio_postgres::Error) -> Self {
        StepError::Database(error)
    }
}

/// Takes the key for this command. False when it was taken before; waits for a twin that has not ended.
async fn claim(session: &Session, command: &Command) -> Result<bool, tokio_postgres::Error> {
    let sql = "INSERT INTO case_api.idempotency (key, digest) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    let digest = command.digest();
    let params: [effect::Param; 2] = [(&command.key, Type::TEXT), (&digest, Type::TEXT)];
    Ok(session.client().execute_typed(sql, &params).await? == 1)
}

async fn replay(session: &Session, command: &Command) -> Result<Done, StepError> {
    let sql = "UPDATE case_api.idempotency SET replays = replays + 1 WHERE key = $1
               RETURNING digest, status, response, case_api.epoch()";
    let rows = session.client().query_typed(sql, &[(&command.key, Type::TEXT)]).await?;
    let row = rows.first().ok_or_else(|| refused("the stored answer is gone"))?;
    if row.get::<_, &str>(0) != command.digest() {
        return Err(StepError::Failure(Failure::KeyReused));
    }
    let status = row.get::<_, Option<i32>>(1).and_then(|status| u16::try_from(status).ok());
    let body = row.get::<_, Option<&str>>(2).and_then(|text| serde_json::from_str(text).ok());
    match (status, body) {
        (Some(status), Some(body)) => {
            Ok(Done { answer: Answer { status, body }, writer_epoch: row.get(3), replayed: true })
        }
        _ => Err(refused("the stored answer is unreadable")),
    }
}

fn refused(why: &str) -> StepError {
    StepError::Failure(Failure::Refused(why.to_owned()))
}

/// Ends the transaction. Whatever is not a plain success may have been committed.
async fn commit(session: Session) -> Result<(), Failure> {
    let before = session.warnings();
    let result = session.client().batch_execute("COMMIT").await;
    if session.warnings() != before {
        return Err(Failure::Unknown("the database warned while it committed".into()));
    }
    match result {
        Ok(()) => {
            session.give_back();
            Ok(())
        }
        Err(error) => Err(Failure::Unknown(describe(&error))),
    }
}

/// The message of a database error with its code, without the query.
pub fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => format!("the database connection failed: {error}"),
    }
}
