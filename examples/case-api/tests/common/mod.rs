//! A real PostgreSQL and real instances of the service, which end with the test.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::NoTls;

const PATIENCE: Duration = Duration::from_secs(40);

pub struct Postgres {
    dir: TempDir,
    pub port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// A writer with an empty database `cases`, owned by `app`.
    pub async fn start() -> Self {
        let mut postgres = Self::directory();
        let data = postgres.data();
        run(binary("initdb").args(["-N", "-U", "postgres", "-A", "trust", "-D"]).arg(&data));
        postgres.boot();
        let admin = postgres.admin("postgres").await;
        admin.batch_execute("CREATE ROLE app LOGIN").await.unwrap();
        admin.batch_execute("CREATE DATABASE cases OWNER app").await.unwrap();
        postgres
    }

    /// A streaming standby of `self`.
    pub async fn standby(&self) -> Self {
        let mut standby = Self::directory();
        let source = format!("host=127.0.0.1 port={} user=postgres", self.port);
        run(binary("pg_basebackup").args(["-R", "-c", "fast", "-d", &source, "-D"]).arg(standby.data()));
        standby.boot();
        standby.admin("postgres").await;
        standby
    }

    fn directory() -> Self {
        let dir = tempfile::Builder::new().prefix("case-api-").tempdir().unwrap();
        if let Some((uid, gid)) = unprivileged() {
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        Self { dir, port: free_port(), server: None }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn boot(&mut self) {
        let mut command = binary("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-c", "unix_socket_directories="]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        self.server = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // Immediate shutdown: the postmaster takes its shared memory and all its children along.
        let pid = Pid::from_child(&server);
        let _ = kill_process(pid, Signal::QUIT);
        let until = Instant::now() + PATIENCE;
        while matches!(server.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    /// A superuser's connection, as soon as the server takes one.
    pub async fn admin(&self, database: &str) -> tokio_postgres::Client {
        let config = format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port);
        let until = Instant::now() + PATIENCE;
        loop {
            match tokio_postgres::connect(&config, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) if Instant::now() > until => panic!("{error}: {}", self.log()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    pub async fn count(&self, sql: &str) -> i64 {
        self.admin("cases").await.query_one(sql, &[]).await.unwrap().get(0)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        url(self.port)
    }
}

pub fn url(port: u16) -> String {
    format!("host=127.0.0.1 port={port} user=app dbname=cases")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One instance of the service.
pub struct Service {
    child: Child,
    base: String,
    http: Client,
}

impl Service {
    pub async fn start(database_url: &str) -> Self {
        Self::with(database_url, &[("API_SECRET", "s3cret")]).await
    }

    pub async fn with(database_url: &str, env: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = free_port();
        let mut command = tied_to_us(None);
        command.arg(env!("CARGO_BIN_EXE_case-api")).env_remove("API_SECRET");
        command.env("PORT", port.to_string()).env("DATABASE_URL", database_url).env("SITE", "here");
        let child = command.envs(env.iter().copied()).stderr(Stdio::null()).spawn().unwrap();
        let service = Self { child, base: format!("http://127.0.0.1:{port}"), http: Client::new() };
        eventually("the service answers", async || {
            service.http.get(format!("{}/live", service.base)).send().await.is_ok()
        })
        .await;
        service
    }

    pub async fn ready(&self) -> (bool, Value) {
        let response = self.get("/ready").await;
        let ready = response.status() == 200;
        (ready, response.json().await.unwrap())
    }

    pub async fn until_ready(&self) {
        eventually("ready", async || self.ready().await.0).await;
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Reply {
        let request = self.http.post(format!("{}{path}", self.base)).header("Idempotency-Key", key);
        Reply::of(request.body(body.to_string()).send().await.unwrap()).await
    }

    pub async fn post_raw(&self, path: &str, key: Option<&str>, body: String) -> Reply {
        let mut request = self.http.post(format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        Reply::of(request.body(body).send().await.unwrap()).await
    }

    pub async fn open(&self, key: &str) -> Reply {
        self.post("/cases", key, &json!({ "subject": "late filing", "ledger": { "client": key, "seq": 1 } })).await
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub replayed: bool,
    pub writer_epoch: Option<i64>,
    pub body: Value,
}

impl Reply {
    async fn of(response: Response) -> Self {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (replayed, epoch) = (header("idempotent-replay") == Some("true"), header("writer-epoch"));
        let (writer_epoch, status) = (epoch.and_then(|epoch| epoch.parse().ok()), response.status().as_u16());
        Self { status, replayed, writer_epoch, body: response.json().await.unwrap() }
    }

    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}"))
    }
}

/// Waits until `holds`, for as long as a loaded machine may need.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn free_port() -> u16 {
    (0..1000)
        .map(|_| rand::random_range(20_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port between 20000 and 32000")
}

fn binary(name: &str) -> Command {
    let mut command = tied_to_us(unprivileged());
    command.arg(bindir().join(name)).env("LC_ALL", "C").stdout(Stdio::null());
    command
}

/// A command that the kernel kills when the test dies without cleaning up.
fn tied_to_us(user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL");
    if let Some((uid, gid)) = user {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
    }
    command.arg("--");
    command
}

/// As root: who runs PostgreSQL, for it refuses to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = |name: &str| users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[0] == name);
    let user = user("postgres").or_else(|| user("nobody")).expect("a user postgres or nobody");
    Some((user[2].parse().unwrap(), user[3].parse().unwrap()))
}

fn bindir() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let in_path = std::env::var("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = installed.map(|version| version.path().join("bin")).collect();
    found.sort();
    found.extend(in_path.split(':').map(PathBuf::from));
    let complete = |dir: &PathBuf| ["initdb", "postgres", "pg_basebackup"].iter().all(|name| dir.join(name).exists());
    found.into_iter().rfind(complete).expect("PostgreSQL's initdb, postgres and pg_basebackup")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
