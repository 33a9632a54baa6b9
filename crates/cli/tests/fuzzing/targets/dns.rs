//! The DNS server: whatever the packet, the answer is one, it is small enough, and the next question is answered too.
//!
//! Packets go to the real server over UDP. Its tasks run on this thread, between a packet and the answer to a plain
//! question that is sent after it. (TCP differs in hickory's framing alone.)

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use drivers::Traffic;
use drivers::dns::{DnsConfig, DnsError, DnsServer};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use model::routing::{NameTable, Policy, Target};
use model::{Epoch, SiteId, ZoneTable};
use tokio::net::UdpSocket;
use tokio::runtime::{Builder, Runtime};

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 1);
/// What a client takes that says nothing (RFC 1035, section 4.2.1).
const SMALLEST: usize = 512;
/// A plain question is answered within this on any machine, or never.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest packet that loopback carries in one piece with room to spare.
const LONGEST: usize = 16 * 1024;

struct Rig {
    runtime: Runtime,
    socket: UdpSocket,
    _server: DnsServer,
    /// Of each question not yet answered: the most that its answer may have.
    asked: BTreeMap<u16, usize>,
    next: u16,
}

static RIG: LazyLock<Mutex<Rig>> = LazyLock::new(|| Mutex::new(Rig::new()));

pub fn check(bytes: &[u8]) {
    let mut rig = RIG.lock().expect("an earlier input broke nothing");
    rig.ask(&bytes[..bytes.len().min(LONGEST)]);
}

impl Rig {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let folder = super::scratch("dns");
        let (server, socket) = runtime.block_on(async {
            let server = start(&folder).await;
            server.1.route(zone()).await.expect("a good zone is taken");
            let socket = UdpSocket::bind((HERE, 0)).await.unwrap();
            socket.connect(server.0).await.unwrap();
            (server.1, socket)
        });
        let _ = std::fs::remove_dir_all(folder);
        Self { runtime, socket, _server: server, asked: BTreeMap::new(), next: 1 }
    }

    fn number(&mut self) -> u16 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    fn ask(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (id, plain) = (self.number(), self.number());
        let mut packet = bytes.to_vec();
        for (to, from) in packet.iter_mut().zip(id.to_be_bytes()) {
            *to = from;
        }
        let room = Message::from_vec(&packet).ok().and_then(|message| message.edns.map(|edns| edns.max_payload()));
        self.asked.insert(id, room.map_or(SMALLEST, |room| SMALLEST.max(room.into())));
        self.asked.insert(plain, SMALLEST);
        if self.asked.len() > 1_000 {
            self.asked.clear(); // packets that nobody answers: not questions
            self.asked.insert(plain, SMALLEST);
        }
        let Self { runtime, socket, asked, .. } = self;
        runtime.block_on(async {
            socket.send(&packet).await.expect("loopback takes a packet");
            socket.send(&question(plain)).await.expect("likewise");
            while heard(socket, asked).await != plain {}
        });
    }
}

/// Takes one answer, checks it, and says which question it is for.
async fn heard(socket: &UdpSocket, asked: &mut BTreeMap<u16, usize>) -> u16 {
    let mut answer = vec![0; 1 << 16];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut answer)).await;
    let length = length.expect("a plain question after the packet is answered").expect("the server listens");
    let answer = &answer[..length];
    let message = Message::from_vec(answer).unwrap_or_else(|error| panic!("{error}: {answer:02x?}"));
    assert_eq!(message.metadata.message_type, MessageType::Response, "{message:?}");
    let id = message.metadata.id;
    if let Some(room) = asked.remove(&id) {
        assert!(length <= room, "{length} bytes where {room} are taken: {message:?}");
    }
    id
}

/// A question that is always answered with one address.
fn question(id: u16) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii("api.case.example.").unwrap(), RecordType::A));
    message.to_vec().unwrap()
}

/// On a free port.
async fn start(folder: &Path) -> (SocketAddr, DnsServer) {
    for n in 0..200 {
        let listen = SocketAddr::from((HERE, 20_000 + ((std::process::id() + n * 61) % 12_000) as u16));
        let config = DnsConfig {
            site: SiteId::new("a"),
            zone: "case.example".into(),
            listen,
            name_servers: [("ns-a.case.example".into(), Ipv4Addr::new(127, 0, 1, 10))].into(),
            places: [("10.1.0.0/16".into(), vec!["SG".into(), "AS".into()])].into(),
            file: folder.join("zone.json"),
            tcp_idle: PATIENCE,
        };
        match DnsServer::start(config).await {
            Err(DnsError::Listen(..)) => {}
            started => return (listen, started.expect("the configuration is good")),
        }
    }
    panic!("no free port");
}

/// One name of each policy, and one with more addresses than a small answer holds.
fn zone() -> ZoneTable {
    let target = |site: &str, rank, n: u8, count: u8| Target {
        site: SiteId::new(site),
        addresses: (0..count).map(|last| Ipv4Addr::new(10, 0, n, last)).collect(),
        enabled: true,
        rank,
        weight: 10,
        geo: vec!["SG".into()],
        latency: [("10.1.0.0/16".into(), 3)].into(),
    };
    let table = |policy, count| NameTable {
        policy,
        ttl: Duration::from_secs(7),
        targets: vec![target("a", 0, 1, count), target("b", 1, 2, count)],
    };
    let names = [
        ("api.case.example", table(Policy::Failover, 1)),
        ("weighted.case.example", table(Policy::Weighted, 1)),
        ("near.case.example", table(Policy::Latency, 1)),
        ("here.case.example", table(Policy::Geolocation, 2)),
        ("all.case.example", table(Policy::Multivalue, 60)),
        ("many.deep.case.example", table(Policy::Failover, 200)),
    ];
    let names = names.map(|(name, table)| (name.to_owned(), table)).into();
    ZoneTable { zone: "case.example".into(), epoch: Epoch { number: 1, site: SiteId::new("a") }, serial: 1, names }
}

/// What a resolver would send: the beginnings of a corpus.
pub fn questions() -> Vec<Vec<u8>> {
    let names = ["api.case.example.", "many.deep.case.example.", "deep.case.example.", "other.example.", "."];
    let kinds = [RecordType::A, RecordType::ANY, RecordType::SOA, RecordType::AXFR];
    let mut packets = Vec::new();
    for name in names {
        for kind in kinds {
            let mut message = Message::new(0, MessageType::Query, OpCode::Query);
            message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
            packets.push(message.to_vec().unwrap());
            let mut edns = hickory_proto::op::Edns::new();
            edns.set_max_payload(4096);
            message.set_edns(edns);
            packets.push(message.to_vec().unwrap());
        }
    }
    let mut refused = Message::new(0, MessageType::Query, OpCode::Update);
    refused.metadata.response_code = ResponseCode::NoError;
    packets.push(refused.to_vec().unwrap());
    packets
}
