//! A fleet of real processes behind a real load balancer. The service that it runs is this test program itself.

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use antipode_drivers::fleet::{Exercise, Fleet, FleetConfig, FleetError, Zone};
use antipode_drivers::secrets::SecretValue;
use antipode_drivers::{Act, Compute};
use model::{ActError, ComponentId, SiteId};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use support::{GENEROUS, until};

mod service {
    //! The service: says who it is, and is as ready, slow or deadly as the files in its control directory tell.

    use std::convert::Infallible;
    use std::io::Write;
    use std::path::PathBuf;

    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper::{Method, Request, Response, StatusCode};
    use hyper_util::rt::TokioIo;

    pub fn env(name: &str) -> String {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
    }

    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (control, instance) = (PathBuf::from(env("CONTROL")), env("INSTANCE"));
        let told = |what: &str| control.join(format!("{what}-{instance}")).exists();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let header =
            |name: &str| request.headers().get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        let (key, forwarded, hop) = (header("idempotency-key"), header("x-forwarded-for"), header("x-hop"));
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (status, text) = match (method, path.as_str()) {
            (_, "/live") => (StatusCode::OK, String::new()),
            (_, "/ready") if told("unready") => (StatusCode::SERVICE_UNAVAILABLE, "told so".to_owned()),
            (_, "/ready") => (StatusCode::OK, String::new()),
            (Method::POST, "/write") if key.is_none() => (StatusCode::BAD_REQUEST, "no key".to_owned()),
            (Method::POST, "/write" | "/die") => {
                let mut log =
                    std::fs::OpenOptions::new().create(true).append(true).open(control.join("writes")).unwrap();
                log.write_all(&[&body[..], b"\n"].concat()).unwrap();
                if path == "/die" {
                    std::process::abort();
                }
                (StatusCode::CREATED, String::from_utf8_lossy(&body).into_owned())
            }
            (_, "/slow") => {
                std::fs::write(control.join("slow-began"), &instance).unwrap();
                while !control.join("slow-ends").exists() {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                (StatusCode::OK, instance)
            }
            _ => {
                let described = format!(
                    "{} {} {} {} {} {} {} {}",
                    std::process::id(),
                    instance,
                    env("SITE"),
                    env("ZONE"),
                    env("LISTEN"),
                    env("EXTRA"),
                    forwarded.unwrap_or_default(),
                    hop.unwrap_or_default()
                );
                (StatusCode::OK, described)
            }
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        Ok(response)
    }

    pub async fn run() {
        let listener = tokio::net::TcpListener::bind(format!("{}:{}", env("LISTEN"), env("PORT"))).await.unwrap();
        println!("listening");
        let deaf = PathBuf::from(env("CONTROL")).join(format!("deaf-{}", env("INSTANCE")));
        loop {
            let accepted = tokio::time::timeout(std::time::Duration::from_millis(10), listener.accept()).await;
            if deaf.exists() {
                drop(listener);
                return std::future::pending().await;
            }
            let Ok(accepted) = accepted else { continue };
            let (stream, _) = accepted.unwrap();
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
            );
        }
    }
}

/// Not a test but the service, when the environment says so.
#[tokio::test]
async fn the_service() {
    if std::env::var_os("CONTROL").is_some() {
        service::run().await;
    }
}

const NET: [u8; 3] = [127, 0, 42];

struct World {
    fleet: Fleet,
    listen: SocketAddr,
    control: PathBuf,
    logs: PathBuf,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

fn config(directory: &Path) -> FleetConfig {
    let ip = |last: u8| Ipv4Addr::new(NET[0], NET[1], NET[2], last);
    let ports = support::free_ports(ip(1), 9);
    let quick = Duration::from_millis(50);
    FleetConfig {
        component: ComponentId::new("api"),
        site: SiteId::new("here"),
        artifact: "2026.07.01-1842".to_owned(),
        program: std::env::current_exe().unwrap(),
        args: ["--exact", "the_service", "--nocapture"].map(str::to_owned).into(),
        env: [("CONTROL", directory.to_str().unwrap()), ("EXTRA", "extra")]
            .map(|(name, value)| (name.to_owned(), SecretValue::new(value)))
            .into(),
        zones: [("a", 2), ("b", 3)].map(|(name, last)| Zone { name: name.to_owned(), listen: ip(last) }).into(),
        first_port: ports + 1,
        most: 8,
        listen: SocketAddr::from((ip(1), ports)),
        live: "/live".to_owned(),
        ready: "/ready".to_owned(),
        exercise: Some(Exercise { path: "/write".to_owned(), body: "{\"key\":\"{key}\"}".to_owned() }),
        check_every: quick,
        check_timeout: Duration::from_secs(1),
        dead_after: 2,
        start_within: GENEROUS,
        restart_backoff: quick,
        restart_most: quick * 4,
        drain: GENEROUS,
        stop_within: GENEROUS,
        request_timeout: GENEROUS,
        logs: directory.join("logs"),
    }
}

async fn world_with(change: impl FnOnce(&mut FleetConfig)) -> World {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    change(&mut config);
    let (listen, logs, control) = (config.listen, config.logs.clone(), directory.path().to_owned());
    let fleet = Fleet::start(config).await.unwrap();
    // The client asks for one, although it speaks no TLS here; another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    World { fleet, listen, control, logs, client, _directory: directory }
}

/// This many instances, all ready.
async fn world(instances: u32) -> World {
    let world = world_with(|_| {}).await;
    assert_eq!(world.fleet.scale(instances, GENEROUS).await, Ok(Act::Done(())));
    world.ready(instances).await;
    world
}

impl World {
    async fn ready(&self, instances: u32) {
        until("all are ready", async || self.fleet.observe().await.ready() == instances).await;
    }
    /// Orders checks for as long as it is polled.
    async fn hurry(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.fleet.check_now();
        }
    }
    fn tell(&self, what: &str) {
        std::fs::write(self.control.join(what), "").unwrap();
    }
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("http://{}{path}", self.listen))
    }
    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("http://{}{path}", self.listen))
    }
    /// Status, who served, text.
    async fn ask(&self, path: &str) -> (u16, String, String) {
        let response = self.get(path).send().await.unwrap();
        let served = response.headers()["x-served-by"].to_str().unwrap().to_owned();
        (response.status().as_u16(), served, response.text().await.unwrap())
    }
    /// Process id of each instance by name, asked through the load balancer.
    async fn pids(&self, instances: usize) -> BTreeMap<String, i32> {
        let mut pids = BTreeMap::new();
        let start = Instant::now();
        while pids.len() < instances {
            assert!(start.elapsed() < GENEROUS, "only {pids:?} answered");
            let (status, _, text) = self.ask("/").await;
            if let ([pid, name, ..], 200) = (text.split(' ').collect::<Vec<_>>().as_slice(), status) {
                pids.insert(name.to_string(), pid.parse().unwrap());
            }
        }
        pids
    }
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn runs(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

#[tokio::test]
async fn instances_spread_over_zones_and_share_requests() {
    let world = world(4).await;
    let report = world.fleet.observe().await;
    let names: Vec<&str> = report.instances.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(names, ["api-a-0", "api-b-0", "api-a-1", "api-b-1"]);
    assert_eq!((report.wanted, report.alive(), report.replaced), (4, 4, 0));
    let mut served: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..40 {
        let (status, by, text) = world.ask("/").await;
        assert_eq!(status, 200);
        let described: Vec<&str> = text.split(' ').collect();
        let [_, instance, "here", zone, listen, "extra", "127.0.0.1", ""] = described[..] else { panic!("{text}") };
        assert_eq!(by, format!("here/{instance}"));
        assert_eq!(listen, if zone == "a" { "127.0.42.2" } else { "127.0.42.3" });
        *served.entry(by).or_default() += 1;
    }
    assert!(served.len() == 4 && served.values().all(|count| *count == 10), "{served:?}");
    let log = std::fs::read_to_string(world.logs.join("api-a-1.log")).unwrap();
    assert!(log.contains("listening"), "{log}");
    assert_eq!(world.fleet.scale(4, GENEROUS).await, Ok(Act::AlreadyDone(())));
    assert!(matches!(world.fleet.scale(9, GENEROUS).await, Ok(Act::Refused(_))));
}

#[tokio::test]
async fn a_killed_instance_is_replaced() {
    let world = world(2).await;
    let before = world.pids(2).await;
    signal(before["api-b-0"], Signal::KILL);
    until("it is replaced", async || world.fleet.observe().await.replaced == 1).await;
    world.ready(2).await;
    let after = world.pids(2).await;
    assert_eq!(after["api-a-0"], before["api-a-0"]);
    assert_ne!(after["api-b-0"], before["api-b-0"]);
}

#[tokio::test]
async fn a_frozen_instance_is_avoided_and_replaced() {
    let world = world_with(|config| config.check_timeout = Duration::from_millis(500)).await;
    world.fleet.scale(2, GENEROUS).await.unwrap();
    world.ready(2).await;
    let before = world.pids(2).await;
    let frozen = before["api-a-0"];
    signal(frozen, Signal::STOP);
    until("it is replaced", async || world.fleet.observe().await.replaced >= 1).await;
    assert!(!runs(frozen), "the frozen process was killed first");
    world.ready(2).await;
    assert_ne!(world.pids(2).await["api-a-0"], frozen);
}

#[tokio::test]
async fn an_instance_that_is_not_ready_gets_no_requests_and_is_left_alone() {
    let world = world(2).await;
    let before = world.pids(2).await;
    world.tell("unready-api-a-0");
    until("one is not ready", async || world.fleet.observe().await.ready() == 1).await;
    for _ in 0..20 {
        let (status, by, _) = world.ask("/").await;
        assert_eq!((status, by.as_str()), (200, "here/api-b-0"));
    }
    world.tell("unready-api-b-0");
    until("none is ready", async || world.fleet.observe().await.ready() == 0).await;
    let (status, by, text) = world.ask("/").await;
    assert_eq!((status, by.as_str(), text.as_str()), (503, "here/-", "no instance of api in here is ready\n"));
    let failed = world.fleet.exercise(false, GENEROUS).await.unwrap_err();
    assert!(matches!(&failed, ActError::Transient(why) if why.contains("503")), "{failed}");

    for instance in before.keys() {
        std::fs::remove_file(world.control.join(format!("unready-{instance}"))).unwrap();
    }
    world.fleet.check_now();
    world.ready(2).await;
    assert_eq!(world.pids(2).await, before, "the same processes");
    assert_eq!(world.fleet.observe().await.replaced, 0);
}

#[tokio::test]
async fn a_check_can_be_hurried() {
    let world = world_with(|config| config.check_every = Duration::from_secs(3_600)).await;
    // The first check comes too early for the process: only an order brings the next.
    let scaled =
        tokio::select! { scaled = world.fleet.scale(1, GENEROUS) => scaled, () = world.hurry() => unreachable!() };
    assert_eq!(scaled, Ok(Act::Done(())));
    world.tell("unready-api-a-0");
    world.fleet.check_now();
    until("it is not ready", async || world.fleet.observe().await.ready() == 0).await;
}

#[tokio::test]
async fn scaling_down_lets_requests_end() {
    let world = world(1).await;
    let pid = world.pids(1).await["api-a-0"];
    let slow = tokio::spawn(world.get("/slow").send());
    until("the request is under way", async || world.control.join("slow-began").exists()).await;
    let mut scale = std::pin::pin!(world.fleet.scale(0, GENEROUS));
    let early = tokio::time::timeout(Duration::from_millis(300), scale.as_mut()).await;
    assert!(early.is_err(), "it waits for the request");
    assert_eq!(world.ask("/").await.0, 503, "no new request");
    assert!(runs(pid));
    world.tell("slow-ends");
    assert_eq!(scale.await, Ok(Act::Done(())));
    let reply = slow.await.unwrap().unwrap();
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (200, "api-a-0"));
    assert!(!runs(pid));
    assert_eq!(world.fleet.observe().await.instances, []);
    assert_eq!(world.fleet.scale(2, GENEROUS).await, Ok(Act::Done(())), "and up again");
}

#[tokio::test]
async fn a_request_that_will_not_end_is_cut_off() {
    let world = world_with(|config| config.drain = Duration::from_millis(50)).await;
    world.fleet.scale(1, GENEROUS).await.unwrap();
    world.ready(1).await;
    let slow = tokio::spawn(world.get("/slow").send());
    until("the request is under way", async || world.control.join("slow-began").exists()).await;
    assert_eq!(world.fleet.scale(0, GENEROUS).await, Ok(Act::Done(())));
    assert_eq!(slow.await.unwrap().unwrap().status().as_u16(), 502);
}

#[tokio::test]
async fn a_write_is_sent_once() {
    let world = world(2).await;
    let response = world.post("/die").body("deadly").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 502);
    let text = response.text().await.unwrap();
    assert!(text.contains("may have been carried out"), "{text}");
    assert_eq!(std::fs::read_to_string(world.control.join("writes")).unwrap(), "deadly\n");
}

/// The instance stops listening between two checks. What cannot be connected to was not sent, so another one gets the
/// write, its whole body too.
#[tokio::test]
async fn a_request_that_could_not_be_sent_goes_to_another() {
    let world = world_with(|config| config.check_every = Duration::from_secs(3_600)).await;
    let scale = async {
        world.fleet.scale(2, GENEROUS).await.unwrap();
        world.ready(2).await;
    };
    tokio::select! { () = scale => (), () = world.hurry() => unreachable!() }
    let address = SocketAddr::from((Ipv4Addr::new(NET[0], NET[1], NET[2], 2), world.listen.port() + 1));
    tokio::net::TcpStream::connect(address).await.expect("api-a-0 listens");
    world.tell("deaf-api-a-0");
    until("it listens no more", async || tokio::net::TcpStream::connect(address).await.is_err()).await;
    assert_eq!(world.fleet.observe().await.ready(), 2, "the load balancer does not know");

    let body = "x".repeat(300_000);
    for _ in 0..4 {
        let write = world.post("/write").header("idempotency-key", "k").body(body.clone()).send().await.unwrap();
        assert_eq!((write.status().as_u16(), &write.headers()["x-served-by"]), (201, &"here/api-b-0".parse().unwrap()));
        assert_eq!(write.text().await.unwrap().len(), body.len());
        assert_eq!(world.fleet.observe().await.ready(), 1, "now it does");
    }
    assert_eq!(std::fs::read_to_string(world.control.join("writes")).unwrap().lines().count(), 4, "each once");
}

#[tokio::test]
async fn headers_of_one_connection_stop_at_it() {
    let world = world(1).await;
    let reply = world.get("/").header("connection", "x-hop").header("x-hop", "secret").send().await.unwrap();
    assert!(!reply.text().await.unwrap().contains("secret"));
    let reply = world.get("/").header("x-hop", "kept").header("x-forwarded-for", "10.9.8.7").send().await.unwrap();
    let text = reply.text().await.unwrap();
    assert!(text.ends_with("10.9.8.7 kept"), "{text}");
}

#[tokio::test]
async fn the_exercise_writes_as_a_client_would() {
    let world = world(2).await;
    let Ok(Act::Done(said)) = world.fleet.exercise(true, GENEROUS).await else { panic!("the write failed") };
    assert!(said.starts_with("POST /write: 201 Created by here/api-"), "{said}");
    let Ok(Act::Done(said)) = world.fleet.exercise(false, GENEROUS).await else { panic!("the read failed") };
    assert!(said.starts_with("GET /ready: 200 OK by here/api-"), "{said}");
    world.fleet.exercise(true, GENEROUS).await.unwrap();
    let writes = std::fs::read_to_string(world.control.join("writes")).unwrap();
    let keys: std::collections::BTreeSet<&str> = writes.lines().collect();
    assert!(keys.len() == 2 && writes.contains("antipode-exercise-"), "each has a key of its own: {writes}");
}

#[tokio::test]
async fn a_program_that_cannot_start_is_said_to() {
    let world = world_with(|config| config.program = "/nowhere/case-api".into()).await;
    let scaled = world.fleet.scale(1, Duration::from_millis(500)).await;
    assert!(matches!(&scaled, Err(ActError::Transient(why)) if why.starts_with("0 of 1 instances")), "{scaled:?}");
}

#[tokio::test]
async fn a_crash_loop_slows_down() {
    let world = world_with(|config| {
        (config.program, config.args) = ("/bin/false".into(), Vec::new());
        config.restart_backoff = Duration::from_secs(3_600);
        config.restart_most = Duration::from_secs(3_600);
    })
    .await;
    let scaled = world.fleet.scale(1, Duration::from_millis(800)).await;
    assert!(scaled.is_err());
    assert_eq!(world.fleet.observe().await.replaced, 1, "once at once, then not for a long time");
    assert_eq!(world.fleet.scale(0, GENEROUS).await, Ok(Act::Done(())), "a slot that waits can be given up");
}

#[tokio::test]
async fn instances_die_with_their_fleet() {
    let world = world(3).await;
    let pids = world.pids(3).await;
    drop(world.fleet);
    until("all are gone", async || !pids.values().any(|pid| runs(*pid))).await;
    assert!(tokio::net::TcpStream::connect(world.listen).await.is_err());
}

/// An agent that is killed kills nobody: its instances are found by what they carry, those of others are not.
#[tokio::test]
async fn orphans_of_an_earlier_run_are_killed_first() {
    let world = world(2).await;
    let other = world_with(|_| {}).await;
    other.fleet.scale(1, GENEROUS).await.unwrap();
    other.ready(1).await;
    let (orphans, strangers) = (world.pids(2).await, other.pids(1).await);
    let mut next = config(&world.control);
    next.most = 1;
    assert_eq!(next.logs, world.logs);
    let _next = Fleet::start(next).await.unwrap();
    // The first fleet still runs here and replaces them, which a killed agent could not.
    assert!(!orphans.values().any(|pid| runs(*pid) && !is_zombie(*pid)), "{orphans:?}");
    assert!(strangers.values().all(|pid| runs(*pid)));
}

fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn start_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let good = config(directory.path());
    let _taken = std::net::TcpListener::bind(good.listen).unwrap();
    assert!(matches!(Fleet::start(good.clone()).await, Err(FleetError::Listen(..))));
    let none = FleetConfig { zones: Vec::new(), ..good.clone() };
    assert!(matches!(Fleet::start(none).await, Err(FleetError::NoZone(_))));
    let high = FleetConfig { first_port: 65_535, ..good.clone() };
    assert!(matches!(Fleet::start(high).await, Err(FleetError::Ports { .. })));
    let odd = FleetConfig { site: SiteId::new("line\nbreak"), ..good.clone() };
    assert!(matches!(Fleet::start(odd).await, Err(FleetError::Name(_))));
    let secret = FleetConfig { env: [("DATABASE_URL".to_owned(), SecretValue::new("hush"))].into(), ..good };
    assert!(!format!("{secret:?}").contains("hush"));
}
