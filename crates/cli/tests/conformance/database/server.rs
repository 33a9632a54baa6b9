//! One region's real server, in a folder that vanishes with its case.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use drivers::postgres::{Application, Config, Limits, Login, Server, find, unprivileged};
use drivers::process;
use model::SiteId;
use model::backup::{RestoreTo, WallTime};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::PATIENCE;
use crate::case::Where;

/// How long a silent peer counts as there: on a busy machine nothing shall look like a cut link.
pub const SILENT: Duration = Duration::from_secs(30);
/// Until a stopped process counts as one that does not answer, and a clean stop as failed.
const ANSWERS: Duration = Duration::from_secs(3);

pub fn site(at: Where) -> SiteId {
    SiteId::new(format!("site-{}", at.name()))
}

/// Where other users may look for their own.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
    folder
}

pub struct Region {
    pub server: Server,
    /// Where the other region reaches it: a listener of the proxy.
    pub seen_from_afar: SocketAddr,
}

impl Drop for Region {
    fn drop(&mut self) {
        let gone = process::kill_directory(&self.server.config().data(), PATIENCE);
        if !std::thread::panicking() {
            gone.expect("no server is left behind");
        }
    }
}

fn free(ip: Ipv4Addr) -> SocketAddr {
    let ports = (20_000..32_000).map(|port| SocketAddr::from((ip, port)));
    ports.into_iter().find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}

impl Region {
    /// With whatever data is in `folder`.
    pub fn new(folder: &Path, at: Where, lane: usize, silent: Duration) -> Self {
        // Both the process and the case are in the address, so that nobody else takes the port meanwhile.
        let process = (std::process::id() % 200) as u8 + 40;
        let ip = |last: usize| Ipv4Addr::new(127, process, lane as u8, (last + at.number() * 2) as u8);
        let seen_from_afar = free(ip(2));
        let server = Server::new(config(folder, at, free(ip(1)), silent)).expect("the configuration is right");
        Self { server, seen_from_afar }
    }

    /// As the application connects.
    pub fn application(&self) -> tokio_postgres::Config {
        let config = self.server.config();
        let mut to = tokio_postgres::Config::new();
        to.host_path(&config.run_dir).port(config.listen.port()).dbname(&config.application.database);
        to.user(&config.application.login.role).password(&config.application.login.password);
        to
    }

    pub async fn sql(&self, sql: &str) {
        connect(self.application()).await.expect("it answers").batch_execute(sql).await.expect("it is done");
    }

    /// A commit waits for the standby.
    pub async fn waits(&self) -> bool {
        let Ok(client) = connect(self.application()).await else { return false };
        let waiting = "select 1 from pg_stat_activity where wait_event = 'SyncRep'";
        client.query(waiting, &[]).await.is_ok_and(|rows| !rows.is_empty())
    }

    /// The writes that are there.
    pub async fn rows(&self) -> Option<String> {
        let client = connect(self.application()).await.ok()?;
        let rows = client.query("select id from rows order by id", &[]).await.ok()?;
        let ids = rows.iter().map(|row| row.get::<_, i32>(0));
        Some(ids.fold("rows".into(), |text, id| format!("{text} {id}")))
    }

    /// Now, by its own clock.
    pub async fn moment(&self) -> RestoreTo {
        let client = connect(self.application()).await.expect("it answers");
        let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        RestoreTo::Time(WallTime(client.query_one(sql, &[]).await.expect("the time").get(0)))
    }

    pub fn pids(&self) -> Vec<i32> {
        process::of_directory(&self.server.config().data()).expect("the processes")
    }

    pub fn postmaster(&self) -> i32 {
        let file = self.server.config().data().join("postmaster.pid");
        let text = fs::read_to_string(file).expect("it runs");
        text.lines().next().and_then(|line| line.trim().parse().ok()).expect("its number")
    }
}

pub async fn connect(to: tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = to.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn login(role: &str) -> Login {
    Login { role: role.into(), password: format!("of-{role}") }
}

fn config(folder: &Path, at: Where, listen: SocketAddr, silent: Duration) -> Config {
    Config {
        binaries: find().expect("these cases need PostgreSQL"),
        home: folder.join("home"),
        run_dir: folder.join("run"),
        site: site(at),
        listen,
        allow_from: vec!["127.0.0.0/8".into()],
        peers: vec![site(at.other())],
        run_as: unprivileged().expect("a user"),
        superuser: login("antipode"),
        application: Application { database: "cases".into(), login: login("app") },
        replica: login("antipode_replica"),
        settings: [("shared_buffers".into(), "8MB".into())].into(),
        wal_keep_mb: 128,
        replication_timeout: silent,
        sync_on_create: false,
        ledger: Default::default(),
        limits: Limits { query: ANSWERS, stop: 3 * ANSWERS, ..Limits::default() },
    }
}
