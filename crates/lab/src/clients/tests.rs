//! Real clients against a real name server and a real HTTP service, both tiny.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, rdata::A};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::*;
use crate::clients::UnderWay;
use crate::ledger::{End, Header, History, Ledger, Progress, now, read};

const OLD: Ipv4Addr = Ipv4Addr::new(127, 0, 61, 1);
const NEW: Ipv4Addr = Ipv4Addr::new(127, 0, 61, 2);

/// A name server whose only record can be changed; counts questions.
struct Names {
    address: SocketAddr,
    record: Arc<Mutex<(Ipv4Addr, u32)>>,
    asked: Arc<Mutex<u64>>,
}

impl Names {
    async fn start(answer: Ipv4Addr, ttl: u32) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (record, asked) = (Arc::new(Mutex::new((answer, ttl))), Arc::new(Mutex::new(0)));
        let names = Self { address, record: record.clone(), asked: asked.clone() };
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                *asked.lock().unwrap() += 1;
                let (address, ttl) = *record.lock().unwrap();
                let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
                answer.metadata.response_code = ResponseCode::NoError;
                let name = question.queries[0].name().clone();
                answer.add_answer(Record::from_rdata(name, ttl, RData::A(A(address))));
                let _ = socket.send_to(&answer.to_vec().unwrap(), peer).await;
            }
        });
        names
    }

    fn point_to(&self, address: Ipv4Addr) {
        self.record.lock().unwrap().0 = address;
    }

    fn asked(&self) -> u64 {
        *self.asked.lock().unwrap()
    }
}

/// What a service at one address does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Works,
    Silent,
    Refuses,
    /// What a load balancer says that has no instance.
    HasNobody,
    CutsOff,
}

#[derive(Clone)]
struct Service {
    mood: Arc<Mutex<Mood>>,
    keys: Arc<Mutex<Vec<String>>>,
    /// Most requests that came over one connection.
    kept: Arc<Mutex<u64>>,
}

impl Service {
    async fn start(address: Ipv4Addr, port: u16, epoch: u64) -> Option<(Self, u16)> {
        let listener = TcpListener::bind((address, port)).await.ok()?;
        let port = listener.local_addr().unwrap().port();
        let service = Self { mood: Arc::new(Mutex::new(Mood::Works)), keys: Arc::default(), kept: Arc::default() };
        let accepting = service.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream, address, epoch));
            }
        });
        Some((service, port))
    }

    async fn serve(self, stream: TcpStream, address: Ipv4Addr, epoch: u64) {
        let mut stream = BufReader::new(stream);
        let mut carried = 0;
        while let Some(key) = read_request(&mut stream).await {
            carried += 1;
            let most = self.kept.lock().unwrap().max(carried);
            *self.kept.lock().unwrap() = most;
            let mood = *self.mood.lock().unwrap();
            let (status, body) = match mood {
                Mood::Silent => std::future::pending().await,
                Mood::CutsOff => return,
                Mood::Refuses => (503, json!({ "error": "no", "outcome": "refused" })),
                Mood::HasNobody => (503, json!("nobody is ready")),
                Mood::Works => {
                    (201, json!({ "id": "x", "version": 1, "state": "UnderReview", "epoch": epoch, "lsn": "0/1" }))
                }
            };
            if mood == Mood::Works {
                self.keys.lock().unwrap().push(key);
            }
            let (body, site) = (body.to_string(), if address == OLD { "old" } else { "new" });
            let by = if mood == Mood::HasNobody { "-" } else { "api-1" };
            let head =
                format!("HTTP/1.1 {status} X\r\nsite: {site}\r\nx-served-by: {site}/{by}\r\nwriter-epoch: {epoch}\r\n");
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("idempotency-key") => key = value.into(),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(key)
}

/// Both addresses of the service, on one port.
async fn services() -> (Service, Service, u16) {
    for _ in 0..100 {
        let port = rand::random_range(20_000..32_000);
        let (old, new) = (Service::start(OLD, port, 1).await, Service::start(NEW, port, 2).await);
        if let (Some((old, _)), Some((new, _))) = (old, new) {
            return (old, new, port);
        }
    }
    panic!("no port is free at both addresses");
}

fn plan(kind: ClientKind, dns: Vec<SocketAddr>, port: u16) -> ClientPlan {
    let habits = Habits {
        every: Duration::from_millis(10),
        // Long beside a loaded machine's pauses: an attempt that is answered late would be sent again.
        request_timeout: Duration::from_millis(1_500),
        dns_timeout: Duration::from_secs(10),
        retry_after: Duration::from_millis(20),
        give_up: Duration::from_secs(30),
        ..Habits::default()
    };
    let (place, host) = (Place::Outside, "api.case.example".to_owned());
    ClientPlan { name: kind.name().into(), kind, place, dns, host, port, address_map: BTreeMap::new(), habits }
}

struct Run {
    dir: tempfile::TempDir,
    ledger: Ledger,
    clients: Clients,
}

impl Run {
    fn start(plans: Vec<ClientPlan>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let header = Header { drill: "test".into(), clients: plans };
        let ledger = Ledger::create(&dir.path().join("ledger"), &header).unwrap();
        let clients = Clients::start(&header.clients, &ledger.log()).unwrap();
        Self { dir, ledger, clients }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Progress) -> bool) {
        let mut progress = self.ledger.progress();
        let waited = tokio::time::timeout(Duration::from_secs(30), progress.wait_for(holds)).await;
        assert!(waited.is_ok_and(|result| result.is_ok()), "never: {what}: {:?}", self.ledger.progress().borrow());
    }

    async fn finish(self) -> History {
        self.clients.stop(Duration::from_secs(30)).await;
        self.ledger.close().unwrap();
        read(&self.dir.path().join("ledger")).unwrap()
    }
}

fn acknowledged_at(progress: &Progress, site: &str) -> u64 {
    progress.acknowledged_by_site.get(site).copied().unwrap_or(0)
}

#[tokio::test]
async fn an_honouring_client_follows_the_name_and_a_write_takes_effect_once() {
    let (old, new, port) = services().await;
    let names = Names::start(OLD, 0).await;
    let run = Run::start(vec![plan(ClientKind::TtlHonouring, vec![names.address], port)]);
    run.until("the old site serves", |progress| acknowledged_at(progress, "old") > 5).await;
    old.is(Mood::Silent);
    let fault = now();
    let in_flight = |progress: &Progress| progress.total.in_flight() > 5;
    run.until("open loop: sends go on though none is answered", in_flight).await;
    names.point_to(NEW);
    let served = |progress: &Progress| acknowledged_at(progress, "new") > 20 && progress.total.in_flight() < 5;
    run.until("the new site serves, those caught by the fault too", served).await;
    let history = run.finish().await;
    let retried = history.writes.values().filter(|write| write.acknowledged().is_some() && !write.failed.is_empty());
    assert!(retried.count() > 0);
    let keys = [old.keys.lock().unwrap().clone(), new.keys.lock().unwrap().clone()].concat();
    assert_eq!(keys.len(), keys.iter().collect::<BTreeSet<_>>().len(), "an acknowledged write is not sent again");

    let recovery = crate::ledger::Recovery::NewEpoch { above: 1 };
    let result =
        crate::ledger::measure(&history, &crate::ledger::Fault { at: fault, until: now(), recovery, over: None });
    assert!(result.anyone_saw_outage);
    assert!(result.rto[&ClientKind::TtlHonouring].is_some_and(|rto| !rto.is_zero()));
}

#[tokio::test]
async fn pinned_and_stretching_clients_stay_where_they_were() {
    let (old, new, port) = services().await;
    let names = Names::start(OLD, 0).await;
    let kinds = [ClientKind::Pinned, ClientKind::TtlStretching];
    let run = Run::start(kinds.map(|kind| plan(kind, vec![names.address], port)).to_vec());
    run.until("the old site serves", |progress| acknowledged_at(progress, "old") > 5).await;
    names.point_to(NEW);
    let before = run.ledger.progress().borrow().total.acknowledged;
    run.until("more writes", |progress| progress.total.acknowledged > before + 50).await;
    assert_eq!(names.asked(), 2, "each asked once");
    assert_eq!((new.keys.lock().unwrap().len(), acknowledged_at(&run.ledger.progress().borrow(), "new")), (0, 0));
    run.until("connections are kept", |_| *old.kept.lock().unwrap() > 1).await;
    run.finish().await;
}

#[tokio::test]
async fn refused_and_unknown_are_told_apart() {
    let (old, _new, port) = services().await;
    let names = Names::start(OLD, 60).await;
    let mut plan = plan(ClientKind::TtlHonouring, vec![names.address], port);
    plan.habits.give_up = Duration::ZERO;
    let run = Run::start(vec![plan]);
    old.is(Mood::Refuses);
    run.until("a refusal", |progress| progress.total.refused > 3).await;
    old.is(Mood::HasNobody);
    let before = run.ledger.progress().borrow().total.refused;
    run.until("the balancer's refusal", |progress| progress.total.refused > before + 3).await;
    old.is(Mood::CutsOff);
    run.until("an unknown end", |progress| progress.total.unknown > 3).await;
    let history = run.finish().await;
    assert!(history.writes.values().all(|write| match &write.end {
        Some((_, End::Refused)) => write.failed.iter().all(|(_, attempt)| !attempt.unknown),
        Some((_, End::Unknown)) => write.failed.iter().any(|(_, attempt)| attempt.unknown),
        _ => true,
    }));
}

#[tokio::test]
async fn nobody_at_the_address_is_a_refusal() {
    let names = Names::start(Ipv4Addr::new(127, 0, 61, 9), 60).await;
    let mut plan = plan(ClientKind::Pinned, vec![names.address], 19_999);
    plan.habits.give_up = Duration::ZERO;
    let run = Run::start(vec![plan]);
    run.until("a refusal", |progress| progress.total.refused > 3).await;
    let history = run.finish().await;
    assert!(history.writes.values().all(|write| !matches!(write.end, Some((_, End::Unknown)))));
}

#[tokio::test]
async fn a_silent_name_server_is_passed_over_and_then_left_aside() {
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    silent.set_nonblocking(true).unwrap();
    let names = Names::start(OLD, 0).await;
    let mut plan = plan(ClientKind::TtlHonouring, vec![silent.local_addr().unwrap(), names.address], 1);
    plan.habits.dns_timeout = Duration::from_secs(2);
    let resolver = Resolver::new(&plan).unwrap();
    assert_eq!(resolver.addresses().await, Ok(vec![OLD]));
    assert!(silent.recv(&mut [0; 512]).is_ok(), "the first in the list was asked first");
    assert_eq!(resolver.addresses().await, Ok(vec![OLD]));
    assert!(silent.recv(&mut [0; 512]).is_err(), "the one that answered is asked first");
    assert_eq!(names.asked(), 2, "a TTL of zero is not cached");
}

#[tokio::test]
async fn requests_that_wait_share_one_question() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut plan = plan(ClientKind::TtlHonouring, vec![silent.local_addr().unwrap()], 1);
    plan.habits.dns_timeout = Duration::from_millis(200);
    let resolver = Arc::new(Resolver::new(&plan).unwrap());
    let asked = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..200 {
        let resolver = resolver.clone();
        waiting.spawn(async move { resolver.addresses().await });
    }
    assert!(waiting.join_all().await.iter().all(Result::is_err));
    assert!(asked.elapsed() < Duration::from_secs(10), "not one after the other, which takes 40 s");
}

#[test]
fn plans_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let header = Header { drill: "test".into(), clients: vec![] };
    let ledger = Ledger::create(&dir.path().join("ledger"), &header).unwrap();
    let good = plan(ClientKind::Pinned, vec![([127, 0, 0, 1], 53).into()], 1);
    let bad = [
        ClientPlan { name: "A b".into(), ..good.clone() },
        ClientPlan { dns: vec![], ..good.clone() },
        ClientPlan { host: "a..b".into(), ..good.clone() },
        ClientPlan { habits: Habits { every: Duration::ZERO, ..Habits::default() }, ..good.clone() },
    ];
    for plan in bad {
        assert!(Writer::new(plan.clone(), ledger.log(), UnderWay::default()).is_err(), "{plan:?}");
    }
    assert!(Writer::new(good, ledger.log(), UnderWay::default()).is_ok());
}
