//! One region is left, for real: the writing region, the witness and the controller are killed, two people break the glass,
//! a client writes again, and everything comes back. Each refusal on the way is asked for too.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use controller::identity::{Identity, Peer};
use controller::rpc::{AgentClient, CallError};
use engine::writer::glass::STEP;
use engine::{Record, Request};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use lab::proxy::Link;
use lab::world::World;
use model::glass::{Fence, GlassRequest, Word};
use model::{DatabaseState, Person, SiteId};
use serde_json::{Value, json};
use tokio::process::Command;

/// Longest that anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine that is busy with other tests must look neither dead nor slow. People ask for every move.
const PATIENT: &str =
    "timing: { profile: standard, lease: 10s, suspect_after: 3s, unreachable_after: 6s, stale_after: 5s,
  healthy_for: 1s, deadlines: { check: 60s, fence: 60s, promote: 60s, scale: 60s, route: 30s, exercise: 30s } }";

struct Lab {
    world: World,
    folder: tempfile::TempDir,
    home: SiteId,
    left: SiteId,
    witness: SiteId,
}

impl Lab {
    async fn up() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = Path::new(env!("CARGO_BIN_EXE_antipode"));
        assert!(program.with_file_name("case-api").exists(), "case-api is not built: cargo build -p case-api");
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL's own account must be able to pass through, when the tests run as root.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/case-api/antipode.yaml");
        let spec = std::fs::read_to_string(spec).unwrap().replace("timing: { profile: standard }", PATIENT);
        let spec = spec.replace("failover: automatic", "failover: ask");
        let topology = Arc::new(model::spec::parse(&spec).expect("the example is right"));
        let (home, witness) = (topology.preferred().clone(), topology.witness().clone());
        let left = topology.others(&home).next().unwrap().clone();
        let world =
            World::up(topology, program.parent().unwrap(), &folder.path().join("state"), None, program).await.unwrap();
        lab::world::establish(&world, |_| {}).await.unwrap();
        Self { world, folder, home, left, witness }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What `antipode failover --break-glass` says at the region that is left, as JSON.
    async fn says(&self, args: &[&str], status: i32) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antipode"));
        command.args(["failover", "--break-glass", "--json", "--to", self.left.as_str(), "--state"]).arg(self.state());
        command.args(args).stdin(std::process::Stdio::null()).env_remove("ANTIPODE_AS");
        let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("an end").unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// A whole word of `who`, with `more` changed.
    fn word<'a>(&self, who: &'a str, loss: &'a str, fenced: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["--as", who, "--why", "the others burn", "--lose", loss];
        args.extend(fenced.iter().flat_map(|fenced| ["--fenced", fenced.as_str()]));
        args.extend(more);
        args
    }

    /// The same without the command, whose own machine would reach what this region does not.
    async fn asked(&self, who: &str) -> String {
        let identity = Identity::load(&self.world.layout.identity(), &Peer::Operator(Person::new(who))).unwrap();
        let addresses = &self.world.addresses;
        let at = SocketAddr::from((addresses.real(&self.left), addresses.agent_port()));
        let agent = AgentClient::new(&identity, self.left.clone(), at, PATIENCE).unwrap();
        let fenced = [&self.home, &self.witness].map(|site| (site.clone(), Fence::PoweredOff)).into();
        let word =
            Word { why: "a lie".into(), fenced, loss: "lose an unknown amount".into(), tried: Default::default() };
        match agent.break_glass(&GlassRequest::Break { word, confirm: None }, PATIENCE).await {
            Err(CallError::Refused { problem, .. }) => problem.code,
            other => panic!("{other:?}"),
        }
    }

    fn front(&self, site: &SiteId) -> SocketAddr {
        (self.world.addresses.public(site), self.world.addresses.front_port(0)).into()
    }

    /// Opens a case, as the clients of a drill do; the epoch in which it was acknowledged.
    async fn write(&self, site: &SiteId, number: u32) -> Option<u64> {
        let body = json!({ "subject": format!("case {number}"), "ledger": { "client": "glass", "seq": number } });
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        let url = format!("http://{}/cases", self.front(site));
        let sent = client.post(url).header("idempotency-key", format!("glass-{number}")).json(&body).send();
        let answer = sent.await.ok().filter(|answer| answer.status().is_success())?;
        answer.headers().get("writer-epoch")?.to_str().ok()?.parse().ok()
    }

    async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(tokio::time::Instant::now() < until, "{what} did not come about");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Where a site's own DNS server leads clients.
    async fn leads_to(&self, server: &SiteId) -> Vec<Ipv4Addr> {
        let addresses = &self.world.addresses;
        let name = self.world.topology.dns().1.records.keys().next().unwrap();
        let mut name = Name::from_utf8(name).unwrap();
        name.set_fqdn(true);
        let mut question = Message::query();
        question.add_query(Query::query(name, RecordType::A));
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        socket.connect((addresses.public(server), addresses.dns_port())).await.unwrap();
        socket.send(&question.to_vec().unwrap()).await.unwrap();
        let mut buffer = [0; 4096];
        let Ok(Ok(length)) = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await else {
            return Vec::new();
        };
        let answer = Message::from_vec(&buffer[..length]).unwrap();
        let address = |data: &RData| if let RData::A(address) = data { Some(address.0) } else { None };
        answer.answers.iter().filter_map(|record| address(&record.data)).collect()
    }

    /// What the old writer kept before it was given up.
    fn exports(&self) -> Vec<PathBuf> {
        let folder = self.world.layout.site(&self.home).join("postgres/export").canonicalize();
        let exports = folder.and_then(std::fs::read_dir).into_iter().flatten().flatten();
        exports.map(|export| export.path()).collect()
    }
}

/// Whether a data directory that was kept whole (docs/kept-data.md) has these bytes in a table or in its log.
fn holds(kept: &Path, bytes: &[u8]) -> bool {
    let files = ["base", "pg_wal"].map(|folder| files_below(&kept.join(folder)));
    files.concat().iter().any(|file| {
        let content = std::fs::read(file).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn code(said: &Value) -> &str {
    said["error"]["code"].as_str().unwrap_or("no error")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_at_the_region_that_is_left_bring_the_service_back() {
    let lab = Lab::up().await;
    refused_while_anybody_lives(&lab).await;

    // What the old region acknowledges now, no other has.
    lab.world.network.cut(&Link::between(&lab.home, &lab.left));
    for number in 1..=3 {
        lab.until("a write at home", async || lab.write(&lab.home, number).await).await;
    }
    // Once the probes have not heard the other region for a while, the witness is the only obstacle.
    lab.until("a region that hears the witness only", async || {
        (lab.asked("ana").await == "glass-quorum-reachable").then_some(())
    })
    .await;
    lab.world.kill_controller().await;
    lab.world.kill_site(&lab.witness).await.unwrap();
    lab.world.kill_site(&lab.home).await.unwrap();
    assert_eq!(lab.write(&lab.left, 10).await, None, "nobody writes");

    let epoch = broken_by_two(&lab).await;
    assert!(epoch > STEP, "{epoch}");
    let home_again = lab.world.addresses.public(&lab.left);
    assert_eq!(lab.leads_to(&lab.left).await, [home_again]);
    assert_eq!(lab.write(&lab.left, 11).await, Some(epoch), "a client is served, in that epoch");
    let still = lab.says(&["--as", "citra", "--close", "1", "--why", "done"], 4).await;
    assert_eq!(code(&still), "glass-still-alone");

    all_come_back(&lab, epoch).await;
    home(&lab).await;
    let closed = lab.says(&["--as", "citra", "--close", "1", "--why", "three cases entered again"], 0).await;
    assert!(closed["glass"]["broken"].is_null(), "{closed}");
    let complaints = lab.world.down().await;
    assert!(complaints.is_empty(), "{complaints:?}");
}

async fn refused_while_anybody_lives(lab: &Lab) {
    assert_eq!(lab.asked("ana").await, "glass-region-answers", "the other region answers");
    let fenced = [format!("{}=powered-off", lab.home), format!("{}=destroyed", lab.witness)];
    let words = lab.word("ana", "lose an unknown amount", &fenced, &[]);
    assert_eq!(code(&lab.says(&words, 4).await), "glass-region-answers");
    let plan = lab.says(&["--plan"], 0).await;
    assert_eq!(plan["glass"]["obstacle"]["code"], "glass-region-answers");
    let records = plan["journal"].as_array().unwrap();
    assert_eq!(records.iter().filter(|line| line["record"]["record"] == "refused").count(), 2, "both are on record");
}

/// Each refusal, then both words; the epoch.
async fn broken_by_two(lab: &Lab) -> u64 {
    // A probe that was answered a moment ago still counts.
    let plan = lab.until("a region that is alone", async || {
        let plan = lab.says(&["--plan"], 0).await;
        plan["glass"]["obstacle"].is_null().then_some(plan)
    });
    let plan = plan.await;
    let phrase = plan["glass"]["phrase"].as_str().unwrap().to_owned();
    assert!(phrase.starts_with("lose everything after 20"), "{phrase}");
    let both = [format!("{}=powered-off", lab.home), format!("{}=network-cut", lab.witness)];

    let one = lab.word("ana", &phrase, &both[..1], &[]);
    assert_eq!(code(&lab.says(&one, 4).await), "glass-not-fenced");
    let untyped = lab.word("ana", "lose something", &both, &[]);
    let untyped = lab.says(&untyped, 4).await;
    assert_eq!(code(&untyped), "glass-loss-not-typed");
    assert!(untyped["error"]["hint"].as_str().unwrap().contains(&phrase), "{untyped}");
    let early = lab.word("ana", &phrase, &both, &["--confirm", "1"]);
    assert_eq!(code(&lab.says(&early, 4).await), "glass-no-such-attempt");

    let first = lab.says(&lab.word("ana", &phrase, &both, &[]), 8).await;
    assert_eq!((&first["state"], &first["attempt"]), (&json!("waiting"), &json!(1)));
    let again = lab.word("ana", &phrase, &both, &["--confirm", "1"]);
    assert_eq!(code(&lab.says(&again, 4).await), "glass-same-person");
    assert_eq!(code(&lab.says(&lab.word("budi", &phrase, &both, &[]), 4).await), "glass-not-confirmed");
    assert_eq!(lab.write(&lab.left, 10).await, None, "one person is not enough");

    let done = lab.says(&lab.word("budi", &phrase, &both, &["--confirm", "glass-1"]), 0).await;
    assert_eq!(done["state"], "succeeded", "{done}");
    done["epoch"]["number"].as_u64().unwrap()
}

/// The old writer is fenced and says so; the controller knows who did what, and undoes none of it.
async fn all_come_back(lab: &Lab, epoch: u64) {
    lab.world.network.heal_all();
    lab.world.start_site(&lab.witness).await.unwrap();
    lab.world.start_controller(&[]).await.unwrap();
    lab.world.start_site(&lab.home).await.unwrap();
    let api = lab.world.operator(&Person::new("citra")).unwrap();
    lab.until("an old writer that is fenced", async || {
        let reports = api.reports().await.ok()?;
        let report = reports.get(&lab.home)?.report.as_ref()?;
        matches!(report.database.as_ref()?.state, DatabaseState::Fenced { receipt: Some(_), .. }).then_some(())
    })
    .await;
    lab.until("a controller that knows", async || {
        let status = api.status().await.ok()?;
        let writer = status.writer.filter(|writer| writer.confirmed && writer.site == lab.left)?;
        let routed = status.routing?.behind.is_empty();
        let said = status.sites.iter().flat_map(|site| &site.findings).any(|finding| finding.contains("ana and budi"));
        (writer.epoch.number == epoch && routed && said && status.run.is_none()).then_some(())
    })
    .await;
    let lines = api.journal(1, 1_000).await.unwrap();
    let broken = lines.iter().filter_map(|line| line.record().ok()).find_map(|record| match record {
        Record::GlassBroken { glass: Some(glass), .. } => Some(glass),
        _ => None,
    });
    assert_eq!(broken.expect("in the controller's journal").why, ["the others burn", "the others burn"]);
    assert_eq!(lab.leads_to(&lab.witness).await, [lab.world.addresses.public(&lab.left)]);
    assert_eq!(lab.write(&lab.home, 12).await, None, "the old region serves nobody");
    assert_eq!(lab.write(&lab.left, 13).await, Some(epoch), "and the new one goes on");
}

/// The failback finds the three cases that only the old region has, before it rewinds it.
async fn home(lab: &Lab) {
    let api = lab.world.operator(&Person::new("ana")).unwrap();
    lab.until("a failback that is not refused", async || api.request(&Request::Failback).await.ok()).await;
    let run = lab.until("a run", async || Some(api.status().await.ok()?.run?.run)).await;
    let _ = lab.world.operator(&Person::new("budi")).unwrap().approve(run, false).await;
    lab.until("the end of the failback", async || {
        let last = api.status().await.ok()?.last_run.filter(|last| last.run == run)?;
        assert_eq!(last.end, Some(engine::runbook::run::End::Succeeded), "{:?}", last.summary);
        Some(())
    })
    .await;
    let exports = lab.exports();
    let rows = |export: &PathBuf| std::fs::read_to_string(export.join("rows.jsonl")).unwrap_or_default();
    let exported: String = exports.iter().map(rows).collect();
    let followed = api.status().await.unwrap().last_run.map(|run| run.steps).unwrap_or_default();
    let followed: Vec<_> =
        followed.iter().filter(|step| step.what.starts_with("follow")).map(|step| &step.note).collect();
    for number in 1..=3 {
        // Where rows could not be compared the whole data directory stands in for them, and must have them.
        let key = format!("glass-{number}");
        let whole = |export: &PathBuf| export.join("PG_VERSION").exists() && holds(export, key.as_bytes());
        let found = exported.contains(&format!("{key}\"")) || exports.iter().any(whole);
        assert!(found, "case {number} is not exported: {exports:?} {exported} {followed:?}");
    }
    for export in &exports {
        let named = followed.iter().any(|note| note.contains(&*export.to_string_lossy()));
        assert!(named, "nobody is told of {}: {followed:?}", export.display());
    }
    for number in [11, 13] {
        assert!(!exported.contains(&format!("glass-{number}\"")), "case {number} was never only there: {exported}");
    }
    lab.until("a write at home", async || lab.write(&lab.home, 20).await).await;
}
