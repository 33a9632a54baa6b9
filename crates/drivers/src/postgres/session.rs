//! SQL to a server, with a time limit on everything: a frozen server must not freeze its caller.

use std::future::Future;
use std::time::Duration;

use model::SiteId;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::config::{Config, Login, slot};
use super::{Error, Upstream};

/// One connection. All values come as text, in which PostgreSQL writes a log position as we read it.
pub(super) struct Session {
    client: Client,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// Local administration, through the Unix socket.
    pub async fn local(config: &Config, database: &str, within: Duration) -> Result<Self, Error> {
        let mut to = tokio_postgres::Config::new();
        to.host_path(&config.run_dir).port(config.listen.port());
        Self::open(to, &config.superuser, database, within).await
    }

    /// Local administration of a copy that listens in `directory`.
    pub async fn at_socket(
        directory: &std::path::Path,
        config: &Config,
        database: &str,
        within: Duration,
    ) -> Result<Self, Error> {
        let mut to = tokio_postgres::Config::new();
        to.host_path(directory).port(config.listen.port());
        Self::open(to, &config.superuser, database, within).await
    }

    /// As the replication role, which may read what a rewind needs to know.
    pub async fn upstream(config: &Config, upstream: &Upstream, database: &str) -> Result<Self, Error> {
        let mut to = tokio_postgres::Config::new();
        to.host(&upstream.host).port(upstream.port);
        Self::open(to, &config.replica, database, config.replication_timeout).await
    }

    async fn open(
        mut to: tokio_postgres::Config,
        login: &Login,
        database: &str,
        within: Duration,
    ) -> Result<Self, Error> {
        to.user(&login.role).password(&login.password).dbname(database).application_name("antipode");
        let what = || format!("connect to database {database}");
        let (client, connection) = match timed(what(), within, to.connect(NoTls)).await {
            Err(Error::Sql { what, source }) => return Err(Error::Connect { what, source }),
            Err(e) => return Err(Error::Silent(e.to_string())),
            Ok(connected) => connected,
        };
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { client, task })
    }

    pub fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// All rows of one or more statements.
    pub async fn rows(&self, what: &str, sql: &str, within: Duration) -> Result<Vec<SimpleQueryRow>, Error> {
        let messages = timed(what.to_owned(), within, self.client.simple_query(sql)).await?;
        let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    /// Keeps log for a standby. It may be reserved already, or at this very moment by somebody else.
    pub async fn reserve(&self, site: &SiteId, within: Duration) -> Result<(), Error> {
        let sql = format!("select pg_create_physical_replication_slot({}, true)", literal(&slot(site)));
        match self.run("reserve log for a standby", &sql, within).await {
            Err(e) if e.is_sql(&[SqlState::DUPLICATE_OBJECT]) => Ok(()),
            result => result,
        }
    }

    pub async fn run(&self, what: &str, sql: &str, within: Duration) -> Result<(), Error> {
        self.rows(what, sql, within).await.map(|_| ())
    }

    /// The first column of the first row; `None` without a row or when it is null.
    pub async fn value(&self, what: &str, sql: &str, within: Duration) -> Result<Option<String>, Error> {
        Ok(self.rows(what, sql, within).await?.first().and_then(|row| row.get(0)).map(str::to_owned))
    }
}

async fn timed<T>(
    what: String,
    within: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    match timeout(within, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(Error::Sql { what, source }),
        Err(_) => Err(Error::Slow { what, after: within }),
    }
}

/// The server's own words where it gave some: the error itself only says "db error".
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    error.as_db_error().map_or_else(|| format!("{error}{}", cause.unwrap_or_default()), |db| db.message().to_owned())
}

/// A column as text; empty when null.
pub(super) fn column<'a>(row: &'a SimpleQueryRow, name: &str) -> &'a str {
    row.try_get(name).ok().flatten().unwrap_or_default()
}

/// A literal for text that is sent in a statement.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

pub(super) fn identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

impl Error {
    /// Whether the server answered with one of these.
    pub(super) fn is_sql(&self, states: &[SqlState]) -> bool {
        matches!(self, Error::Sql { source, .. } | Error::Connect { source, .. } if source.code().is_some_and(|code| states.contains(code)))
    }
    /// Whether the server answered at all, so that its session is still good.
    pub(super) fn answered(&self) -> bool {
        matches!(self, Error::Sql { source, .. } if source.as_db_error().is_some())
    }
}
