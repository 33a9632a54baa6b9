//! The floor: PostgreSQL alone, its promotion ordered at once by somebody who knows. No detection, no fence, no lease, no
//! DNS: nothing that is safe can be faster.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drivers::postgres::{Application, Config, Database, Limits, Login, Server, ServerState, Upstream};
use drivers::process;
use model::{Epoch, SiteId};
use rand::RngExt;
use tokio_postgres::NoTls;

use super::BenchError;

/// A write every so often, as the clients of the drills do together.
const WRITE_EVERY: Duration = Duration::from_millis(15);
/// Longest that anything here may take.
const WITHIN: Duration = Duration::from_secs(60);

/// Kills the writer, or only turns away from it (`silent`), and orders the promotion in the same moment. Returns the time
/// to the first write acknowledged by the promoted server, and how many acknowledged writes it lacks.
pub async fn floor(silent: bool) -> Result<(Duration, u64), BenchError> {
    let folder = tempfile::Builder::new().prefix("antipode-floor-").tempdir().map_err(failed)?;
    open_to_the_server(folder.path())?;
    let (old, new) = (server(folder.path(), "old", "new")?, server(folder.path(), "new", "old")?);
    let measured = measure(&old, &new, silent).await;
    for server in [&old, &new] {
        let data = server.config().data();
        let gone = tokio::task::spawn_blocking(move || process::kill_directory(&data, WITHIN)).await;
        gone.map_err(failed)?.map_err(failed)?;
    }
    measured
}

async fn measure(old: &Server, new: &Server, silent: bool) -> Result<(Duration, u64), BenchError> {
    let epoch = Epoch { number: 1, site: old.config().site.clone() };
    old.initialise().await.map_err(failed)?;
    old.start_writer(&epoch, &[]).await.map_err(failed)?;
    application(old).await?.batch_execute("create table writes (id bigint primary key)").await.map_err(failed)?;
    let listen = old.config().listen;
    let upstream = Upstream { site: epoch.site, host: listen.ip().to_string(), port: listen.port() };
    new.follow(&upstream).await.map_err(failed)?;
    streaming(new).await?;

    let client = Client::start(old).await?;
    client.acknowledged_at_least(40).await?;
    let before = client.stop_at_old();
    if !silent {
        let data = old.config().data();
        tokio::task::spawn_blocking(move || process::kill_directory(&data, WITHIN))
            .await
            .map_err(failed)?
            .map_err(failed)?;
    }
    let ordered = promote(new);
    let (written, ordered) = tokio::join!(first_write(new), ordered);
    ordered?;
    let took = written?.duration_since(before);
    let present: BTreeSet<i64> = application(new)
        .await?
        .query("select id from writes", &[])
        .await
        .map_err(failed)?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let lost = client.acknowledged().iter().filter(|id| !present.contains(id)).count();
    Ok((took, lost as u64))
}

/// As an operator would: no waiting, and nothing asked first.
async fn promote(new: &Server) -> Result<(), BenchError> {
    let config = new.config();
    let admin = connect(config, &config.superuser, "postgres").await?;
    admin.query("select pg_promote(false)", &[]).await.map_err(failed)?;
    Ok(())
}

/// Tries again every few milliseconds, on a connection that stays.
async fn first_write(new: &Server) -> Result<Instant, BenchError> {
    let until = Instant::now() + WITHIN;
    let client = application(new).await?;
    while Instant::now() < until {
        if client.execute("insert into writes values (-1)", &[]).await.is_ok() {
            return Ok(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(BenchError::Floor("the promoted server took no write".into()))
}

/// Writes to the old server until it is gone, or told to turn away.
struct Client {
    acknowledged: Arc<Mutex<Vec<i64>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    async fn start(old: &Server) -> Result<Self, BenchError> {
        let connection = application(old).await?;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let log = acknowledged.clone();
        let task = tokio::spawn(async move {
            for id in 1i64.. {
                if connection.execute("insert into writes values ($1)", &[&id]).await.is_err() {
                    break;
                }
                log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(id);
                tokio::time::sleep(WRITE_EVERY).await;
            }
        });
        Ok(Self { acknowledged, task })
    }

    fn acknowledged(&self) -> Vec<i64> {
        self.acknowledged.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    async fn acknowledged_at_least(&self, count: usize) -> Result<(), BenchError> {
        let until = Instant::now() + WITHIN;
        while self.acknowledged().len() < count {
            if Instant::now() > until {
                return Err(BenchError::Floor("the client's writes were not acknowledged".into()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// The instant of the fault: from here on nobody hears the old server.
    fn stop_at_old(&self) -> Instant {
        self.task.abort();
        Instant::now()
    }
}

async fn streaming(new: &Server) -> Result<(), BenchError> {
    let until = Instant::now() + WITHIN;
    while !matches!(new.observe().await.server, ServerState::Standby { receiving: true, .. }) {
        if Instant::now() > until {
            return Err(BenchError::Floor("the standby did not stream".into()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn application(server: &Server) -> Result<tokio_postgres::Client, BenchError> {
    let config = server.config();
    connect(config, &config.application.login, &config.application.database).await
}

async fn connect(config: &Config, login: &Login, database: &str) -> Result<tokio_postgres::Client, BenchError> {
    let mut to = tokio_postgres::Config::new();
    to.host_path(&config.run_dir).port(config.listen.port()).dbname(database);
    to.user(&login.role).password(&login.password);
    let (client, connection) = to.connect(NoTls).await.map_err(failed)?;
    tokio::spawn(connection);
    Ok(client)
}

/// The same settings as a server of the lab has, `wal_retrieve_retry_interval` above all.
fn server(folder: &Path, site: &str, peer: &str) -> Result<Server, BenchError> {
    let home = folder.join(site);
    std::fs::create_dir_all(&home).map_err(failed)?;
    open_to_the_server(&home)?;
    let login = |role: &str| Login { role: role.into(), password: "floor".into() };
    let mut random = rand::rng();
    let free = std::iter::repeat_with(|| random.random_range(20_000..32_000u16))
        .take(1_000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let port = free.ok_or_else(|| BenchError::Floor("no free port".into()))?;
    Server::new(Config {
        binaries: drivers::postgres::find().map_err(failed)?,
        home: home.join("home"),
        run_dir: home.join("run"),
        site: SiteId::new(site),
        listen: ([127, 0, 0, 1], port).into(),
        allow_from: vec!["127.0.0.0/8".into()],
        peers: vec![SiteId::new(peer)],
        run_as: drivers::postgres::unprivileged().map_err(failed)?,
        superuser: login("antipode"),
        application: Application { database: "cases".into(), login: login("case-api") },
        replica: login("antipode_replica"),
        settings: [("shared_buffers".into(), "16MB".into())].into(),
        wal_keep_mb: 128,
        replication_timeout: Duration::from_secs(10),
        sync_on_create: false,
        ledger: Default::default(),
        limits: Limits::default(),
    })
    .map_err(failed)
}

/// The server may run as another user, who must be able to pass.
fn open_to_the_server(folder: &Path) -> Result<(), BenchError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> BenchError {
    BenchError::Floor(error.to_string())
}
