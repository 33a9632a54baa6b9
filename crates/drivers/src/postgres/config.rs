//! What a server must be told, and how that reads as PostgreSQL's own configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Epoch, SiteId};

use super::{Binaries, Error, Upstream};

/// One server of one site.
#[derive(Clone, Debug)]
pub struct Config {
    pub binaries: Binaries,
    /// Holds `data/`, `export/`, the configuration and the server's log. Made when missing; its parent must let
    /// [`Config::run_as`] pass.
    pub home: PathBuf,
    /// Holds the Unix socket and the lease file; nobody else may enter it. Put it where a reboot empties it (/run), so
    /// that no lease file outlives its lease. At most 80 bytes long.
    pub run_dir: PathBuf,
    pub site: SiteId,
    /// For replication and rewind from other regions only. Clients come through the Unix socket.
    pub listen: SocketAddr,
    /// Networks in CIDR notation from which the other regions come.
    pub allow_from: Vec<String>,
    /// The other regions: log is kept for them from a promotion on, so that they can rewind.
    pub peers: Vec<SiteId>,
    /// Needed when we are root, which PostgreSQL refuses to run as.
    pub run_as: Option<RunAs>,
    /// Local administration; used by this driver alone.
    pub superuser: Login,
    pub application: Application,
    /// Replication and rewind; the same in every region.
    pub replica: Login,
    /// Server settings by name, those of this site already merged in.
    pub settings: BTreeMap<String, String>,
    /// Write-ahead log kept for a standby and for a rewind, megabytes.
    pub wal_keep_mb: u32,
    /// After this long without a word a replication connection is dropped. At least one second.
    pub replication_timeout: Duration,
    /// False only in tests: does not wait for the disk when the data directory is made.
    pub sync_on_create: bool,
    /// Where the workload keeps its clients' own numbers of their writes; named in exports.
    pub ledger: model::topology::Ledger,
    pub limits: Limits,
}

/// The database of the workload, and the role that owns it.
#[derive(Clone, Debug)]
pub struct Application {
    pub database: String,
    pub login: Login,
}

#[derive(Clone)]
pub struct Login {
    pub role: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.role)
    }
}

/// The user and group that the server runs as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunAs {
    pub uid: u32,
    pub gid: u32,
}

/// How long this machine's own mechanics may take before they count as failed. They decide nothing about a workload:
/// an order's deadline is the agent's, and shorter.
#[derive(Clone, Debug)]
pub struct Limits {
    /// One local question.
    pub query: Duration,
    /// From exec to accepting sessions.
    pub start: Duration,
    /// A clean stop, with what standbys still need.
    pub stop: Duration,
    /// From SIGKILL to no process left.
    pub kill: Duration,
    /// From the order to promote to the first write.
    pub promote: Duration,
    /// Until a standby that was started streams.
    pub stream: Duration,
    /// Between two looks at a server that is about to change.
    pub poll: Duration,
    /// Bytes that stay free beside a copy of the data, for what its recovery writes.
    pub spare_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            query: Duration::from_millis(500),
            start: Duration::from_secs(60),
            stop: Duration::from_secs(30),
            kill: Duration::from_secs(10),
            promote: Duration::from_secs(30),
            stream: Duration::from_secs(30),
            poll: Duration::from_millis(5),
            spare_bytes: 256 << 20, // two checkpoints, a segment each, and sorting
        }
    }
}

/// The user to run servers as: none unless we are root, then `postgres`, or else `nobody`.
///
/// # Errors
/// When we are root and the machine has neither.
pub fn unprivileged() -> Result<Option<RunAs>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(Error::file("read /etc/passwd"))?;
    let entry = |name: &str| users.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f[0] == name);
    let found = entry("postgres").or_else(|| entry("nobody"));
    let id = |field: Option<&&str>| field.and_then(|id| id.parse().ok());
    let ids = found.and_then(|fields| Some(RunAs { uid: id(fields.get(2))?, gid: id(fields.get(3))? }));
    ids.map(Some).ok_or_else(|| Error::Config("root cannot run PostgreSQL, and there is no user to run it as".into()))
}

/// Settings on which safety or our own access rests; the spec cannot change them.
const OURS: [&str; 26] = [
    "archive_cleanup_command",
    "config_file",
    "data_directory",
    "fsync",
    "full_page_writes",
    "hba_file",
    "hot_standby",
    "ident_file",
    "include",
    "include_dir",
    "include_if_exists",
    "listen_addresses",
    "max_slot_wal_keep_size",
    "port",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_target_timeline",
    "restore_command",
    "synchronous_standby_names",
    "unix_socket_directories",
    "unix_socket_permissions",
    "wal_keep_size",
    "wal_level",
    "wal_log_hints",
    "wal_sync_method",
];

/// Why a setting of the spec cannot stand, if so (SAFETY.md item 8 for `synchronous_commit`).
fn objection(name: &str, value: &str) -> Option<String> {
    let (name, value) = (name.to_ascii_lowercase(), value.trim().to_ascii_lowercase());
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) || name.is_empty() {
        return Some(format!("`{name}` is not the name of a PostgreSQL setting"));
    }
    if value.contains(['\n', '\r']) {
        return Some(format!("the PostgreSQL setting `{name}` has a value of several lines"));
    }
    if OURS.contains(&name.as_str()) {
        return Some(format!("the PostgreSQL setting `{name}` is Antipode's own"));
    }
    if name == "synchronous_commit" && !matches!(value.as_str(), "on" | "remote_apply") {
        return Some(format!("synchronous_commit = {value} lets acknowledged writes be lost, use on or remote_apply"));
    }
    None
}

impl Config {
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }
    /// Exists only while a server may run.
    pub fn lease_file(&self) -> PathBuf {
        self.run_dir.join("lease.conf")
    }
    /// Where clients on this machine, such as the gate, reach the server.
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join(format!(".s.PGSQL.{}", self.listen.port()))
    }
    pub(super) fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }
    pub(super) fn passfile(&self) -> PathBuf {
        self.home.join("passfile")
    }

    /// # Errors
    /// [`Error::Config`] naming the first value that cannot work.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(why) = self.settings.iter().find_map(|(name, value)| objection(name, value)) {
            return Err(Error::Config(why));
        }
        if self.run_dir.as_os_str().len() > 80 {
            return Err(Error::Config(format!("{} is too long to hold a Unix socket", self.run_dir.display())));
        }
        if rustix::process::geteuid().is_root() && self.run_as.is_none_or(|user| user.uid == 0) {
            return Err(Error::Config("PostgreSQL refuses to run as root".into()));
        }
        if self.application.database == "postgres" || self.application.login.role == self.superuser.role {
            return Err(Error::Config("the application needs a database and a role of its own".into()));
        }
        Ok(())
    }

    /// `postgresql.conf` beside the data directory, where neither pg_rewind nor pg_basebackup replaces it by the
    /// upstream's. The one inside only includes this one.
    pub(super) fn server_conf(&self) -> String {
        let mut lines = vec!["# Written by Antipode at every start.".to_owned()];
        // Before a recovery: one call for the file system instead of one for each of a thousand files. Saves up to 4 s of
        // a start on a busy machine.
        lines.push(setting("recovery_init_sync_method", "syncfs"));
        lines.push(setting("synchronous_commit", "on"));
        lines.extend(self.settings.iter().map(|(name, value)| setting(name, value)));
        let seconds = self.replication_timeout.as_secs().max(1);
        let fixed: [(&str, String); 22] = [
            ("listen_addresses", self.listen.ip().to_string()),
            ("port", self.listen.port().to_string()),
            ("unix_socket_directories", self.run_dir.display().to_string()),
            ("hba_file", self.home.join("pg_hba.conf").display().to_string()),
            ("password_encryption", "scram-sha-256".into()),
            ("logging_collector", "off".into()),
            ("log_line_prefix", "%m [%p] %b ".into()),
            ("wal_level", "replica".into()),
            ("wal_log_hints", "on".into()), // rewind (SAFETY.md item 12)
            ("full_page_writes", "on".into()),
            ("fsync", "on".into()),
            ("wal_keep_size", format!("{}MB", self.wal_keep_mb)),
            ("max_slot_wal_keep_size", format!("{}MB", self.wal_keep_mb)),
            ("hot_standby", "on".into()),
            ("recovery_target_timeline", "latest".into()),
            // The default of 5 s makes a promotion take 5.04 s instead of 0.04 s (measured in 6 of 10).
            ("wal_retrieve_retry_interval", "100ms".into()),
            ("wal_receiver_status_interval", "1s".into()), // the unit of lag in reports; 10 s hides a stall
            ("wal_sender_timeout", format!("{seconds}s")),
            ("wal_receiver_timeout", format!("{seconds}s")),
            ("wal_receiver_create_temp_slot", "off".into()),
            // Anything else would leave files in /dev/shm when the server is killed.
            ("dynamic_shared_memory_type", "mmap".into()),
            ("restart_after_crash", "on".into()),
        ];
        lines.extend(fixed.iter().map(|(name, value)| setting(name, value)));
        lines.push("# Absent unless an agent lets this server run.".to_owned());
        lines.push(format!("include {}", quoted(&self.lease_file().display().to_string())));
        lines.join("\n") + "\n"
    }

    /// Passwords everywhere, the Unix socket included: the gate brings clients to it under our own user id.
    pub(super) fn hba(&self) -> String {
        let Config { replica, application, .. } = self;
        let name = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let (database, replica) = (name(&application.database), name(&replica.role));
        let mut lines = vec![
            self.hba_local().trim_end().to_owned(),
            format!("local {database} {} scram-sha-256", name(&application.login.role)),
            format!("local replication {replica} scram-sha-256"), // full backups
        ];
        for network in &self.allow_from {
            lines.push(format!("host replication {replica} {network} scram-sha-256"));
            lines.push(format!("host postgres,{database} {replica} {network} scram-sha-256"));
        }
        lines.join("\n") + "\n"
    }

    /// Ourselves through the Unix socket, and nobody else.
    pub(super) fn hba_local(&self) -> String {
        format!("local all \"{}\" scram-sha-256\n", self.superuser.role.replace('"', "\"\""))
    }

    /// What may start the server as a writer. The reload that severs a standby from its upstream uses it too, hence the
    /// short retry interval: the startup process looks for the order to promote only that often.
    pub(super) fn writer_lease(&self, epoch: &Epoch, synchronous: &[SiteId]) -> String {
        let lines = [
            format!("# Epoch {epoch} was granted to {}.", self.site),
            setting("antipode.role", "writer"),
            setting("antipode.epoch", &epoch.number.to_string()),
            setting("antipode.epoch_site", epoch.site.as_str()),
            setting("primary_conninfo", ""),
            setting("primary_slot_name", ""),
            setting("wal_retrieve_retry_interval", "5ms"),
            setting("synchronous_standby_names", &synchronous_names(synchronous)),
            // A server that starts anew by itself shows commits that were waiting for the standby, and nobody sees it start:
            // it has to end, so that the gate is shut until the standby has what recovery brought back (SAFETY.md item 8).
            setting("restart_after_crash", if synchronous.is_empty() { "on" } else { "off" }),
        ];
        lines.join("\n") + "\n"
    }

    pub(super) fn standby_lease(&self, upstream: &Upstream) -> String {
        let lines = [
            format!("# {} follows {}.", self.site, upstream.site),
            setting("antipode.role", "standby"),
            setting("antipode.upstream", upstream.site.as_str()),
            setting("primary_conninfo", &self.conninfo(upstream)),
            setting("primary_slot_name", &slot(&self.site)),
            setting("synchronous_standby_names", ""),
        ];
        lines.join("\n") + "\n"
    }

    /// How libpq's programs and the standby reach the upstream. The password is in the pass file.
    pub(super) fn conninfo(&self, upstream: &Upstream) -> String {
        self.conninfo_to(&upstream.host, upstream.port)
    }

    /// `host` may be the folder of a Unix socket.
    pub(super) fn conninfo_to(&self, host: &str, port: u16) -> String {
        let value = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let seconds = self.replication_timeout.as_secs().max(2);
        format!(
            "host={} port={} user={} dbname=postgres passfile={} application_name={} connect_timeout={seconds} \
             keepalives_idle={seconds} keepalives_interval=1 keepalives_count=3",
            value(host),
            port,
            value(&self.replica.role),
            value(&self.passfile().display().to_string()),
            value(self.site.as_str()),
        )
    }

    pub(super) fn passfile_text(&self) -> String {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        format!("*:*:*:{}:{}\n", escaped(&self.replica.role), escaped(&self.replica.password))
    }
}

/// The replication slot that keeps log for a site. Slot names allow no hyphen.
pub(super) fn slot(site: &SiteId) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("antipode_{}", site.as_str().chars().map(safe).collect::<String>())
}

/// Any one of them is enough for a commit.
pub(super) fn synchronous_names(standbys: &[SiteId]) -> String {
    let names: Vec<String> = standbys.iter().map(|s| format!("\"{}\"", s.as_str().replace('"', "\"\""))).collect();
    if names.is_empty() { String::new() } else { format!("ANY 1 ({})", names.join(", ")) }
}

pub(super) fn setting(name: &str, value: &str) -> String {
    format!("{name} = {}", quoted(value))
}

pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// A path that PostgreSQL's programs name on the command line.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_lose_writes_are_refused() {
        assert!(objection("work_mem", "8MB").is_none());
        assert!(objection("synchronous_commit", "remote_apply").is_none());
        for (name, value) in [
            ("synchronous_commit", "local"),
            ("Synchronous_Commit", "OFF"),
            ("fsync", "off"),
            ("Port", "1"),
            ("include", "x"),
            ("work_mem", "1\nfsync=off"),
            ("x y", "1"),
        ] {
            assert!(objection(name, value).is_some(), "{name} = {value}");
        }
    }

    #[test]
    fn names_are_quoted_for_their_grammar() {
        assert_eq!(slot(&SiteId::new("ap-southeast-1")), "antipode_ap_southeast_1");
        assert_eq!(synchronous_names(&[]), "");
        assert_eq!(synchronous_names(&[SiteId::new("b-1"), SiteId::new("c")]), "ANY 1 (\"b-1\", \"c\")");
        assert_eq!(setting("x", "a'b\\c"), "x = 'a''b\\\\c'");
    }
}
