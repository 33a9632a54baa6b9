//! Bad luck: each mishap gets a clear error with a hint and a documented exit status, and nothing is lost. The whole list,
//! with the tests of the other mishaps, is docs/bad-luck.md.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use controller::identity::{Authority, Peer};
use controller::journal::{Journal, JournalError, Line, SqliteJournal, Stamp};
use controller::shell::{ControllerConfig, TopologySource};
use engine::Record;
use model::{Time, Topology};
use rustix::process::{Pid, Signal, kill_process};

/// Longest that anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A controller's configuration and its journal of a few lines. Its agents are nowhere.
struct Site {
    folder: tempfile::TempDir,
    topology: Topology,
    journal: PathBuf,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.sqlite");
        Self::with_journal(folder, journal)
    }

    fn with_journal(folder: tempfile::TempDir, journal: PathBuf) -> Self {
        let spec = std::fs::read_to_string(root().join("examples/case-api/antipode.yaml")).unwrap();
        let topology = model::spec::parse(&spec).expect("the example is right");
        let authority = Authority::create(folder.path(), &topology.workload).unwrap();
        authority.issue(&Peer::Controller).unwrap();
        let nowhere = (Ipv4Addr::LOCALHOST, 1).into();
        let config = ControllerConfig {
            topology: TopologySource::Inline(Box::new(topology.clone())),
            agents: topology.sites.iter().map(|site| (site.id.clone(), nowhere)).collect(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            identity: folder.path().to_path_buf(),
            journal: journal.clone(),
            addresses: topology
                .regions()
                .map(|site| (site.id.clone(), vec![Ipv4Addr::LOCALHOST]))
                .collect::<BTreeMap<_, _>>(),
        };
        std::fs::write(folder.path().join("controller.json"), serde_json::to_string(&config).unwrap()).unwrap();
        let site = Self { folder, topology, journal };
        let mut journal = site.open().unwrap();
        for n in 1..=20 {
            journal.append(&stamp(n), &[record(n)]).unwrap();
        }
        site
    }

    fn open(&self) -> Result<SqliteJournal, JournalError> {
        SqliteJournal::open(&self.journal, &self.topology.workload)
    }
    fn lines(&self) -> Vec<Line> {
        self.open().unwrap().read(1, usize::MAX).unwrap()
    }

    /// Starts the controller. Its input has ended, so that it stops at once by itself when nothing is wrong.
    fn start(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
        command.args(["controller", "--tied", "--config"]).arg(self.folder.path().join("controller.json"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// It stops with this status, and says what is wrong, what to do, and where more is written.
    fn stops(&self, status: i32, code: &str, word: &str) {
        let output = self.start();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{code}: {told}");
        let error = told.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains(word), "{code}: {told}");
        assert!(told.lines().any(|line| line.starts_with("hint: ")), "{code}: {told}");
        assert!(told.contains(&format!("more: docs/errors/{code}.md")), "{code}: {told}");
    }
    fn starts(&self) {
        let output = self.start();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn stamp(n: u64) -> Stamp {
    // The wall clock jumps by an hour, back and forth.
    let wall = if n.is_multiple_of(2) { "2026-07-01T10:00:00Z" } else { "2026-07-01T09:00:00Z" };
    Stamp { at: Time(n), wall: wall.parse().unwrap(), boot: "boot".into() }
}

fn record(n: u64) -> Record {
    Record::Restarted { generation: n, rebooted: false, at: Time(n) }
}

#[test]
fn a_controller_says_why_it_cannot_use_its_journal() {
    let site = Site::new();
    {
        let _first = site.open().unwrap();
        site.stops(6, "journal-locked", "open in another controller");
    }
    let whole = std::fs::read(&site.journal).unwrap();
    let spoiled = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        spoil(&mut bytes);
        std::fs::write(&site.journal, bytes).unwrap();
    };
    // SQLite's `user_version`, which is the format.
    spoiled(&|bytes| bytes[60..64].copy_from_slice(&99_u32.to_be_bytes()));
    site.stops(6, "journal-newer", "has format 99");
    spoiled(&|bytes| {
        // Pages that were split keep copies of what they no longer hold.
        let word = b"\"generation\":7";
        let places: Vec<_> = (0..bytes.len() - word.len()).filter(|at| bytes[*at..].starts_with(word)).collect();
        assert!(!places.is_empty(), "line 7 is in the file");
        places.into_iter().for_each(|at| bytes[at + word.len() - 1] = b'8');
    });
    site.stops(6, "journal-corrupted", "damaged at line 7: its content does not match its hash");
    spoiled(&|bytes| bytes.truncate(bytes.len() / 2));
    site.stops(6, "journal-corrupted", "damaged");
    std::fs::write(&site.journal, &whole).unwrap();
    let before = site.lines();
    site.starts();
    assert_eq!(site.lines()[..before.len()], before, "nothing of this changed the journal");
}

/// A wall clock that jumps by an hour, either way, decides nothing: the journal's lines are in order by their numbers, and
/// a certificate made just now was valid an hour ago.
#[test]
fn a_wall_clock_that_jumps_by_an_hour_changes_nothing() {
    let site = Site::new();
    assert_eq!(site.lines().iter().map(|line| line.seq).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    site.starts();
    let text = Command::new("openssl")
        .args(["x509", "-noout", "-startdate", "-dateopt", "iso_8601", "-in"])
        .arg(site.folder.path().join("controller.pem"))
        .output();
    let Some(text) = text.ok().filter(|output| output.status.success()) else {
        eprintln!("SKIPPED: no openssl that prints dates: the certificate was not looked at");
        return;
    };
    let text = String::from_utf8_lossy(&text.stdout).trim().replace("notBefore=", "").replace(' ', "T");
    let from: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let age = jiff::Timestamp::now().as_second() - from.as_second();
    assert!(age > 2 * 3600, "a controller whose clock goes back an hour would not be let in: {text}");
}

/// A file system of its own that is as small as asked for; gone with this.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "antipode"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            other => {
                eprintln!("SKIPPED: no small disk can be mounted here, so nothing was tested: {other:?}");
                None
            }
        }
    }
    fn fill(&self) {
        let block = vec![0; 4096];
        let mut file = std::fs::File::create(self.0.path().join("filler")).unwrap();
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }
    fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_named_and_the_journal_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::new() else { return };
    let site = Site::with_journal(tempfile::tempdir().unwrap(), disk.0.path().join("journal.sqlite"));
    let before = site.lines();
    // While it runs: what is acknowledged is kept, what is not is not half there.
    let mut journal = site.open().unwrap();
    disk.fill();
    let full = loop {
        let seq = journal.last() + 1;
        if let Err(error) = journal.append(&stamp(seq), &[record(seq), record(seq)]) {
            break error;
        }
        assert!(seq < 100_000, "the disk never fills");
    };
    assert!(matches!(full, JournalError::Full { .. }), "{full}");
    let acknowledged = journal.last();
    drop(journal);
    site.stops(6, "disk-full", "is full");
    disk.make_room();
    let after = site.lines();
    assert_eq!((after.len() as u64, &after[..before.len()]), (acknowledged, &before[..]));
    site.starts();
}

/// While the world comes up, and when it is being broken: SIGTERM and SIGINT alike end it with 130, after everything that
/// it had started.
#[test]
fn an_interrupted_drill_stops_everything_at_any_moment() {
    let moments = [("starting two regions", Signal::TERM), ("breaking", Signal::INT)];
    for (word, signal) in moments {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL's own account must be able to pass through, when the tests run as root.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
        command.args(["drill", "region-loss", "--file"]).arg(root().join("examples/case-api/antipode.yaml"));
        command.arg("--out").arg(folder.path().join("out")).env("TMPDIR", folder.path());
        let mut drill = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(drill.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut told = Vec::new();
        for line in lines.by_ref() {
            told.push(line);
            if told.last().is_some_and(|line| line.contains(word)) {
                break;
            }
        }
        kill_process(Pid::from_child(&drill), signal).unwrap();
        let asked = Instant::now();
        told.extend(lines);
        let status = drill.wait().unwrap();
        assert!(asked.elapsed() < PATIENCE, "{word}: {:?}", asked.elapsed());
        let told = told.join("\n");
        assert!(told.contains(word), "it never came to {word:?}: {told}");
        assert_eq!(status.code(), Some(130), "{word}: {told}");
        assert!(told.contains("more: docs/errors/interrupted.md"), "{word}: {told}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{word}: {left:?}");
        assert_eq!(processes_of(folder.path()), Vec::<String>::new(), "{word}");
    }
}

/// Processes with the folder in their command line, their environment or as their own folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let read = |path: PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let numbered = processes.filter(|path| path.join("cmdline").exists());
    numbered
        .map(|process| (read(process.join("cmdline")), read(process.join("environ"))))
        .filter(|(command, environ)| command.contains(folder) || environ.contains(folder))
        .map(|(command, _)| command)
        .collect()
}

/// docs/bad-luck.md names tests; each of them exists.
#[test]
fn every_mishap_names_its_tests() {
    let page = std::fs::read_to_string(root().join("docs/bad-luck.md")).unwrap();
    let mut sources = String::new();
    gather(&root().join("crates"), &mut sources);
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| mishap")).collect();
    assert!(rows.len() >= 9, "{rows:?}");
    for row in rows {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
        }
        for code in row.split("errors/").skip(1).filter_map(|rest| rest.split(".md").next()) {
            assert!(root().join(format!("docs/errors/{code}.md")).exists(), "{code} has no page");
        }
    }
}

fn gather(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            gather(&entry, sources);
        } else if entry.extension().is_some_and(|kind| kind == "rs") {
            sources.push_str(&std::fs::read_to_string(&entry).unwrap());
        }
    }
}
