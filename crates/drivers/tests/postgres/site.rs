//! A real server in a directory that vanishes with its test, and everything it needs to be killed on a panic.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use antipode_drivers::postgres::{
    Application, Config, Database, Limits, Login, Server, ServerState, Upstream, find, unprivileged,
};
use antipode_drivers::{Act, process};
use model::{Epoch, SiteId};
use rand::RngExt;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// How long anything may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Site {
    pub server: Server,
    _directory: TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        let gone = process::kill_directory(&self.server.config().data(), PATIENCE);
        if !std::thread::panicking() {
            gone.expect("no server is left behind");
        }
    }
}

pub fn free_port() -> u16 {
    let mut random = rand::rng();
    let ports = std::iter::repeat_with(|| random.random_range(20_000..32_000u16));
    ports.take(1_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

pub fn login(role: &str) -> Login {
    Login { role: role.into(), password: format!("{role}'s \\ secret:1") }
}

impl Site {
    pub fn new(name: &str, peers: &[&str]) -> Self {
        Self::with(name, peers, |_| ())
    }

    pub fn with(name: &str, peers: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = Server::new(config(directory.path(), name, peers, change)).unwrap();
        Self { server, _directory: directory }
    }

    pub fn upstream(&self) -> Upstream {
        let Config { site, listen, .. } = self.server.config();
        Upstream { site: site.clone(), host: listen.ip().to_string(), port: listen.port() }
    }

    /// Initialised and writing in epoch 1.
    pub async fn writing(name: &str, peers: &[&str]) -> Self {
        let site = Self::new(name, peers);
        assert_eq!(site.server.initialise().await.unwrap(), Act::Done(()));
        done(site.server.start_writer(&epoch(1, name), &[]).await.unwrap());
        site.sql("create table rows (id int primary key)").await;
        site
    }

    /// A connection as the application makes it.
    pub async fn application(&self) -> Client {
        self.connect().await.unwrap()
    }

    /// The same, from a server that may be starting anew.
    pub async fn returning(&self) -> Client {
        let mut client = None;
        eventually("a session", async || {
            client = self.connect().await.ok();
            client.is_some()
        })
        .await;
        client.expect("a session")
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let config = self.server.config();
        let mut to = tokio_postgres::Config::new();
        to.host_path(&config.run_dir).port(config.listen.port()).dbname(&config.application.database);
        to.user(&config.application.login.role).password(&config.application.login.password);
        let (client, connection) = to.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A connection that may do everything.
    pub async fn admin(&self) -> Client {
        let config = self.server.config();
        let mut to = tokio_postgres::Config::new();
        to.host_path(&config.run_dir).port(config.listen.port()).dbname("postgres");
        to.user(&config.superuser.role).password(&config.superuser.password);
        let (client, connection) = to.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The agent was started anew with another configuration; the server must be at rest.
    pub fn reopen(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = self.server.config().clone();
        change(&mut config);
        self.server = Server::new(config).unwrap();
    }

    /// The file of the log from which a stopped server recovers.
    pub fn checkpoint_file(&self) -> String {
        let config = self.server.config();
        let mut command = std::process::Command::new(config.binaries.program("pg_controldata"));
        let output = command.arg("-D").arg(config.data()).env("LC_ALL", "C").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Latest checkpoint's REDO WAL file:"));
        line.unwrap().trim().to_owned()
    }

    pub async fn sql(&self, sql: &str) {
        self.application().await.batch_execute(sql).await.unwrap();
    }

    pub async fn insert(&self, ids: std::ops::Range<i32>) {
        let client = self.application().await;
        for id in ids {
            client.execute("insert into rows values ($1)", &[&id]).await.unwrap();
        }
    }

    pub async fn ids(&self) -> Vec<i32> {
        let rows = self.application().await.query("select id from rows order by id", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub fn pids(&self) -> Vec<i32> {
        process::of_directory(&self.server.config().data()).unwrap()
    }

    /// The process of this server whose title says what it does.
    pub fn process_titled(&self, what: &str) -> i32 {
        let title = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let says = |pid: &i32| String::from_utf8_lossy(&title(pid)).contains(what);
        self.pids().into_iter().find(says).expect("it runs")
    }

    pub fn postmaster(&self) -> i32 {
        let text = fs::read_to_string(self.server.config().data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// Waits until this standby has replayed all that `writer` wrote, and streams.
    pub async fn catches_up(&self, writer: &Site) {
        let ServerState::Writing { position } = writer.server.observe().await.server else { panic!("no writer") };
        eventually("the standby catches up", async || {
            matches!(self.server.observe().await.server,
                ServerState::Standby { receiving: true, replayed, .. } if replayed >= position)
        })
        .await;
    }
}

fn config(directory: &Path, name: &str, peers: &[&str], change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config {
        binaries: find().expect("these tests need PostgreSQL"),
        home: directory.join("home"),
        run_dir: directory.join("run"),
        site: SiteId::new(name),
        listen: ([127, 0, 0, 1], free_port()).into(),
        allow_from: vec!["127.0.0.0/8".into()],
        peers: peers.iter().map(SiteId::new).collect(),
        run_as: unprivileged().unwrap(),
        superuser: login("antipode"),
        application: Application { database: "cases".into(), login: login("case-api") },
        replica: login("antipode_replica"),
        settings: [("shared_buffers".into(), "8MB".into())].into(),
        wal_keep_mb: 128,
        replication_timeout: Duration::from_secs(10),
        sync_on_create: false,
        ledger: Default::default(),
        limits: Limits { query: Duration::from_secs(10), ..Limits::default() },
    };
    change(&mut config);
    config
}

pub fn epoch(number: u64, site: &str) -> Epoch {
    Epoch { number, site: SiteId::new(site) }
}

pub fn done<T: std::fmt::Debug>(act: Act<T>) -> T {
    match act {
        Act::Done(value) => value,
        other => panic!("expected Done, got {other:?}"),
    }
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
