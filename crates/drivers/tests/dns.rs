//! The DNS server, asked with real packets over UDP and TCP.

mod support;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use antipode_drivers::dns::{DnsConfig, DnsError, DnsServer};
use antipode_drivers::{Act, Traffic};
use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use model::routing::{NameTable, Policy, Target};
use model::{Epoch, SiteId, ZoneTable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const IP: Ipv4Addr = Ipv4Addr::new(127, 0, 41, 1);

struct World {
    server: DnsServer,
    config: DnsConfig,
    _directory: tempfile::TempDir,
}

fn config(directory: &std::path::Path) -> DnsConfig {
    DnsConfig {
        site: SiteId::new("a"),
        zone: "case.example".to_owned(),
        listen: SocketAddr::from((IP, support::free_ports(IP, 1))),
        name_servers: [("ns-a.case.example", [127, 0, 1, 10]), ("ns-b.case.example", [127, 0, 2, 10])]
            .map(|(name, address)| (name.to_owned(), Ipv4Addr::from(address)))
            .into(),
        places: [("10.1.0.0/16", vec!["SG", "AS"]), ("10.2.0.0/16", vec!["DE", "EU"])]
            .map(|(network, codes)| (network.to_owned(), codes.into_iter().map(String::from).collect()))
            .into(),
        file: directory.join("zone.json"),
        tcp_idle: support::GENEROUS,
    }
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let server = DnsServer::start(config.clone()).await.unwrap();
    World { server, config, _directory: directory }
}

fn target(site: &str, rank: u32, address: [u8; 4]) -> Target {
    let (addresses, latency) = (vec![Ipv4Addr::from(address)], BTreeMap::new());
    Target { site: SiteId::new(site), addresses, enabled: true, rank, weight: 0, geo: Vec::new(), latency }
}

fn two_sites(policy: Policy) -> NameTable {
    let targets = vec![target("a", 0, [10, 0, 0, 1]), target("b", 1, [10, 0, 0, 2])];
    NameTable { policy, ttl: Duration::from_secs(7), targets }
}

fn zone(number: u64, serial: u64, names: &[(&str, NameTable)]) -> ZoneTable {
    ZoneTable {
        zone: "case.example".to_owned(),
        epoch: Epoch { number, site: SiteId::new("a") },
        serial,
        names: names.iter().map(|(name, table)| (name.to_string(), table.clone())).collect(),
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

async fn exchange_udp(server: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((IP, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(packet).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let received = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
    received.ok().map(|length| buffer[..length.unwrap()].to_vec())
}

async fn exchange_tcp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_u16(packet.len() as u16).await.unwrap();
    stream.write_all(packet).await.unwrap();
    let mut reply = vec![0; stream.read_u16().await.unwrap() as usize];
    stream.read_exact(&mut reply).await.unwrap();
    reply
}

/// Asks over both transports and requires the same reply.
async fn ask(world: &World, message: &Message) -> Message {
    let packet = message.to_vec().unwrap();
    let udp = exchange_udp(world.config.listen, &packet).await.expect("a reply over UDP");
    let tcp = exchange_tcp(world.config.listen, &packet).await;
    let (udp, tcp) = (Message::from_vec(&udp).unwrap(), Message::from_vec(&tcp).unwrap());
    assert_eq!(udp.metadata, tcp.metadata);
    assert_eq!((udp.answers.len(), udp.authorities.len()), (tcp.answers.len(), tcp.authorities.len()));
    assert_eq!(udp.metadata.id, message.metadata.id);
    udp
}

async fn code(world: &World, name: &str, kind: RecordType) -> ResponseCode {
    ask(world, &question(name, kind)).await.metadata.response_code
}

fn addresses(reply: &Message) -> Vec<Ipv4Addr> {
    let address = |data: &RData| if let RData::A(a) = data { a.0 } else { panic!("not an address: {data:?}") };
    reply.answers.iter().map(|record| address(&record.data)).collect()
}

async fn resolve(world: &World, name: &str) -> Vec<Ipv4Addr> {
    addresses(&ask(world, &question(name, RecordType::A)).await)
}

#[tokio::test]
async fn answers_what_an_authority_answers() {
    let world = world().await;
    assert_eq!(code(&world, "api.case.example.", RecordType::A).await, ResponseCode::ServFail, "no zone yet");
    let table = zone(
        1,
        3,
        &[("api.case.example", two_sites(Policy::Failover)), ("deep.er.case.example", two_sites(Policy::Failover))],
    );
    assert_eq!(world.server.route(table).await, Ok(Act::Done(())));

    let reply = ask(&world, &question("ApI.Case.example.", RecordType::A)).await;
    assert!(reply.metadata.authoritative && !reply.metadata.recursion_available);
    assert_eq!(addresses(&reply), [Ipv4Addr::new(10, 0, 0, 1)]);
    assert_eq!(reply.answers[0].ttl, 7);
    assert_eq!(reply.answers[0].name.to_ascii(), "ApI.Case.example.", "the case of the question is kept");

    for (name, kind, expected) in [
        ("none.case.example.", RecordType::A, ResponseCode::NXDomain),
        ("api.case.example.", RecordType::AAAA, ResponseCode::NoError),
        ("er.case.example.", RecordType::A, ResponseCode::NoError),
        ("case.example.", RecordType::A, ResponseCode::NoError),
    ] {
        let reply = ask(&world, &question(name, kind)).await;
        assert_eq!(reply.metadata.response_code, expected, "{name} {kind}");
        assert!(reply.metadata.authoritative && reply.answers.is_empty(), "{name} {kind}");
        let RData::SOA(soa) = &reply.authorities[0].data else { panic!("no SOA for {name} {kind}") };
        assert_eq!((soa.serial, soa.minimum), (3, 7));
    }
    let soa = ask(&world, &question("case.example.", RecordType::SOA)).await;
    assert_eq!((soa.answers.len(), soa.answers[0].record_type()), (1, RecordType::SOA));
    let ns = ask(&world, &question("case.example.", RecordType::NS)).await;
    assert_eq!((ns.answers.len(), ns.additionals.len()), (2, 2), "name servers and their addresses");
    assert_eq!(resolve(&world, "ns-b.case.example.").await, [Ipv4Addr::new(127, 0, 2, 10)]);
}

#[tokio::test]
async fn refuses_what_is_not_its_business() {
    let world = world().await;
    world.server.route(zone(1, 1, &[("api.case.example", two_sites(Policy::Failover))])).await.unwrap();
    for name in ["example.", "other.example.", "notcase.example.", "api\\.case.example.", "."] {
        assert_eq!(code(&world, name, RecordType::A).await, ResponseCode::Refused, "{name}");
    }
    assert_eq!(code(&world, "case.example.", RecordType::AXFR).await, ResponseCode::Refused);
    let mut chaos = question("api.case.example.", RecordType::A);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(ask(&world, &chaos).await.metadata.response_code, ResponseCode::Refused);
    let mut update = question("case.example.", RecordType::SOA);
    update.metadata.op_code = OpCode::Notify;
    assert_eq!(ask(&world, &update).await.metadata.response_code, ResponseCode::NotImp);
    let mut two = question("api.case.example.", RecordType::A);
    two.add_query(Query::query(Name::from_ascii("case.example.").unwrap(), RecordType::A));
    assert_eq!(ask(&world, &two).await.metadata.response_code, ResponseCode::FormErr);
    let mut newer = question("api.case.example.", RecordType::A);
    newer.set_edns({
        let mut edns = Edns::new();
        edns.set_version(1);
        edns
    });
    let reply = ask(&world, &newer).await;
    assert_eq!(reply.edns.as_ref().map(|edns| (edns.rcode_high(), edns.version())), Some((1, 0)), "BADVERS");
    assert!(reply.answers.is_empty());
}

#[tokio::test]
async fn survives_malformed_packets() {
    let world = world().await;
    world.server.route(zone(1, 1, &[("api.case.example", two_sites(Policy::Failover))])).await.unwrap();
    let good = question("api.case.example.", RecordType::A).to_vec().unwrap();
    let socket = UdpSocket::bind((IP, 0)).await.unwrap();
    let mut packets: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
    for position in 0..good.len() {
        for byte in [0x00, 0x3f, 0xc0, 0xff] {
            let mut bent = good.clone();
            bent[position] = byte;
            packets.push(bent);
        }
    }
    // A name that points at itself, and a header that promises 65535 questions.
    packets.push([&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat());
    packets.push([&good[..4], &[0xff; 8], &good[12..]].concat());
    packets.push(vec![0xff; 2_000]);
    for packet in &packets {
        socket.send_to(packet, world.config.listen).await.unwrap();
    }
    let cut = exchange_udp(world.config.listen, &good[..good.len() - 2]).await.expect("an error reply");
    assert_eq!(Message::from_vec(&cut).unwrap().metadata.response_code, ResponseCode::FormErr);
    for garbage in [&b"\xff\xffnot dns"[..], b"\x00\x05hello", b"\x00\x00", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(world.config.listen).await.unwrap();
        stream.write_all(garbage).await.unwrap();
    }
    assert_eq!(resolve(&world, "api.case.example.").await, [Ipv4Addr::new(10, 0, 0, 1)], "it still answers");
}

#[tokio::test]
async fn long_answers_are_cut_over_udp_and_whole_over_tcp() {
    let world = world().await;
    let mut table = two_sites(Policy::Failover);
    table.targets[0].addresses = (0..100).map(|n| Ipv4Addr::new(10, 1, 0, n)).collect();
    world.server.route(zone(1, 1, &[("api.case.example", table)])).await.unwrap();
    let mut message = question("api.case.example.", RecordType::A);
    let plain = exchange_udp(world.config.listen, &message.to_vec().unwrap()).await.unwrap();
    assert!(plain.len() <= 512 && Message::from_vec(&plain).unwrap().metadata.truncation);
    message.set_edns({
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        edns
    });
    let larger = exchange_udp(world.config.listen, &message.to_vec().unwrap()).await.unwrap();
    assert!(larger.len() > 512 && larger.len() <= 1232, "{} bytes", larger.len());
    assert!(Message::from_vec(&larger).unwrap().metadata.truncation);
    let whole = Message::from_vec(&exchange_tcp(world.config.listen, &message.to_vec().unwrap()).await).unwrap();
    assert_eq!((whole.answers.len(), whole.metadata.truncation), (100, false));

    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = world.config.listen.port());
    let server = NameServerConfig::new(IpAddr::V4(IP), true, connections);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    let found = resolver.lookup_ip("api.case.example.").await.unwrap();
    assert_eq!(found.iter().count(), 100, "a real resolver asks again over TCP");
}

#[tokio::test]
async fn older_zones_are_refused() {
    let world = world().await;
    let name = |rank_of_a: u32| {
        let mut table = two_sites(Policy::Failover);
        table.targets[0].rank = rank_of_a;
        [("api.case.example", table)]
    };
    let route = |number, serial, rank| world.server.route(zone(number, serial, &name(rank)));
    assert_eq!(route(2, 5, 0).await, Ok(Act::Done(())));
    assert_eq!(route(2, 5, 0).await, Ok(Act::AlreadyDone(())));
    for (number, serial, rank, reason) in [(2, 4, 9, "older"), (1, 99, 9, "older"), (2, 5, 9, "same version")] {
        let Ok(Act::Refused(why)) = route(number, serial, rank).await else { panic!("{number}#{serial} was taken") };
        assert!(why.contains(reason), "{why}");
    }
    assert_eq!(resolve(&world, "api.case.example.").await, [Ipv4Addr::new(10, 0, 0, 1)]);
    assert_eq!(route(3, 1, 9).await, Ok(Act::Done(())), "a newer epoch comes first, whatever its serial");
    assert_eq!(resolve(&world, "api.case.example.").await, [Ipv4Addr::new(10, 0, 0, 2)]);
    let report = world.server.observe().await;
    assert_eq!((report.epoch.number, report.serial), (3, 1));
    assert_eq!(report.enabled["api.case.example"], [SiteId::new("a"), SiteId::new("b")]);
}

#[tokio::test]
async fn contradictory_zones_are_refused() {
    let world = world().await;
    let mut foreign = zone(1, 1, &[]);
    foreign.zone = "other.example".to_owned();
    let mut heavy = two_sites(Policy::Weighted);
    heavy.targets[0].weight = 1001;
    let mut nowhere = two_sites(Policy::Latency);
    nowhere.targets[0].latency.insert("10.0.0.1/8".to_owned(), 5);
    let mut forever = two_sites(Policy::Failover);
    forever.ttl = Duration::from_secs(1 << 31);
    let well = two_sites(Policy::Failover);
    for (wrong, reason) in [
        (foreign, "is for zone"),
        (zone(1, 1, &[("api.other.example", well.clone())]), "not in zone"),
        (zone(1, 1, &[("ns-a.case.example", well.clone())]), "name server"),
        (zone(1, 1, &[("api.case.example", well.clone()), ("API.case.example", well.clone())]), "twice"),
        (zone(1, 1, &[("a..case.example", well)]), "not a DNS name"),
        (zone(1, 1, &[("api.case.example", heavy)]), "above 1000"),
        (zone(1, 1, &[("api.case.example", nowhere)]), "beyond its prefix"),
        (zone(1, 1, &[("api.case.example", forever)]), "longer than DNS"),
    ] {
        let Ok(Act::Refused(why)) = world.server.route(wrong).await else { panic!("taken, though {reason}") };
        assert!(why.contains(reason), "{why}");
    }
    assert_eq!(world.server.zone(), None);
}

#[tokio::test]
async fn suspicion_and_health_show_in_answers() {
    let world = world().await;
    world.server.route(zone(1, 1, &[("api.case.example", two_sites(Policy::Failover))])).await.unwrap();
    assert_eq!(world.server.suspect(true).await, Ok(Act::Done(())));
    assert_eq!(world.server.suspect(true).await, Ok(Act::AlreadyDone(())));
    let reply = ask(&world, &question("api.case.example.", RecordType::A)).await;
    assert_eq!(reply.answers[0].ttl, 0);
    let absent = ask(&world, &question("none.case.example.", RecordType::A)).await;
    assert_eq!(absent.authorities[0].ttl, 0, "absence is not cached either");
    assert!(world.server.observe().await.suspect);
    world.server.suspect(false).await.unwrap();
    world.server.judge([(SiteId::new("a"), false)].into());
    let reply = ask(&world, &question("api.case.example.", RecordType::A)).await;
    assert_eq!((addresses(&reply), reply.answers[0].ttl), (vec![Ipv4Addr::new(10, 0, 0, 2)], 7));
    world.server.judge([(SiteId::new("a"), false), (SiteId::new("b"), false)].into());
    assert_eq!(resolve(&world, "api.case.example.").await, [Ipv4Addr::new(10, 0, 0, 1)], "fails open");
}

#[tokio::test]
async fn a_fenced_site_does_not_answer_with_itself() {
    let world = world().await;
    let mut away = two_sites(Policy::Failover);
    away.targets[0].enabled = false;
    let names = [("home.case.example", two_sites(Policy::Failover)), ("away.case.example", away)];
    world.server.route(zone(1, 1, &names)).await.unwrap();
    assert_eq!(world.server.fence(true).await, Ok(Act::Done(())));
    assert_eq!(code(&world, "home.case.example.", RecordType::A).await, ResponseCode::ServFail);
    assert_eq!(resolve(&world, "away.case.example.").await, [Ipv4Addr::new(10, 0, 0, 2)]);
    assert_eq!(code(&world, "none.case.example.", RecordType::A).await, ResponseCode::NXDomain);
    assert!(world.server.observe().await.fenced);
    world.server.route(zone(1, 2, &names)).await.unwrap();
    assert_eq!(
        code(&world, "home.case.example.", RecordType::A).await,
        ResponseCode::ServFail,
        "routing does not unfence"
    );
    assert_eq!(world.server.fence(false).await, Ok(Act::Done(())));
    assert_eq!(resolve(&world, "home.case.example.").await, [Ipv4Addr::new(10, 0, 0, 1)]);
}

#[tokio::test]
async fn a_restart_serves_the_kept_zone_fenced() {
    let mut world = world().await;
    let names = [("api.case.example", two_sites(Policy::Failover))];
    world.server.route(zone(4, 2, &names)).await.unwrap();
    drop(world.server);
    support::until("the port is free again", async || {
        std::net::TcpListener::bind(world.config.listen).is_ok()
            && std::net::UdpSocket::bind(world.config.listen).is_ok()
    })
    .await;
    world.server = DnsServer::start(world.config.clone()).await.unwrap();
    let report = world.server.observe().await;
    assert_eq!((report.epoch.number, report.serial, report.fenced), (4, 2, true));
    assert_eq!(code(&world, "api.case.example.", RecordType::A).await, ResponseCode::ServFail);
    assert!(matches!(world.server.route(zone(4, 1, &names)).await, Ok(Act::Refused(_))), "the order of zones is kept");
    world.server.fence(false).await.unwrap();
    assert_eq!(resolve(&world, "api.case.example.").await, [Ipv4Addr::new(10, 0, 0, 1)]);
}

#[tokio::test]
async fn start_says_what_is_wrong() {
    let world = world().await;
    let mut other = world.config.clone();
    other.file = world.config.file.with_file_name("other.json");
    assert!(matches!(DnsServer::start(other.clone()).await, Err(DnsError::Listen(..))), "the port is in use");
    std::fs::write(&other.file, "{\"version\": 1, \"zo").unwrap();
    assert!(matches!(DnsServer::start(other.clone()).await, Err(DnsError::Damaged { .. })));
    other.zone = "a..b".to_owned();
    assert!(matches!(DnsServer::start(other).await, Err(DnsError::Config(_))));
}

#[tokio::test]
async fn a_zone_that_cannot_be_kept_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.file = directory.path().join("missing").join("zone.json");
    let server = DnsServer::start(config).await.unwrap();
    let routed = server.route(zone(1, 1, &[("api.case.example", two_sites(Policy::Failover))])).await;
    assert!(matches!(routed, Err(model::ActError::Transient(_))), "{routed:?}");
    assert_eq!(server.zone(), None);
}

#[tokio::test]
async fn the_client_subnet_comes_before_the_source() {
    let world = world().await;
    let mut near = two_sites(Policy::Latency);
    near.targets[0].latency = [("127.0.0.0/8".to_owned(), 5), ("10.1.0.0/16".to_owned(), 90)].into();
    near.targets[1].latency = [("127.0.0.0/8".to_owned(), 50), ("10.1.0.0/16".to_owned(), 9)].into();
    let mut place = two_sites(Policy::Geolocation);
    place.targets[0].geo = vec!["*".to_owned()];
    place.targets[1].geo = vec!["AS".to_owned()];
    let fixed = two_sites(Policy::Failover);
    let names = [("near.case.example", near), ("place.case.example", place), ("fixed.case.example", fixed)];
    world.server.route(zone(1, 1, &names)).await.unwrap();
    let (here, there) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    for (name, told, expected, scope) in [
        ("near.case.example.", None, here, None),
        ("near.case.example.", Some((Ipv4Addr::new(10, 1, 2, 0), 24)), there, Some(16)),
        ("near.case.example.", Some((Ipv4Addr::UNSPECIFIED, 0)), here, Some(16)),
        ("place.case.example.", Some((Ipv4Addr::new(10, 1, 2, 0), 24)), there, Some(16)),
        ("place.case.example.", Some((Ipv4Addr::new(10, 2, 2, 0), 24)), here, Some(16)),
        ("place.case.example.", None, here, None),
        ("fixed.case.example.", Some((Ipv4Addr::new(10, 1, 2, 0), 24)), here, Some(0)),
    ] {
        let mut message = question(name, RecordType::A);
        if let Some((address, prefix)) = told {
            let mut edns = Edns::new();
            edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(IpAddr::V4(address), prefix, 0)));
            message.set_edns(edns);
        }
        let reply = ask(&world, &message).await;
        assert_eq!(addresses(&reply), [expected], "{name} {told:?}");
        let option = reply.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Subnet));
        let replied = option.map(|option| match option {
            EdnsOption::Subnet(subnet) => subnet.scope_prefix(),
            other => panic!("{other:?}"),
        });
        assert_eq!(replied, scope, "{name} {told:?}");
    }
}

/// Two names carry the number of their zone. Whoever asks for one and then for the other never sees the number go
/// down, which a name-by-name swap would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_names_of_a_zone_change_at_once() {
    let world = world().await;
    let numbered = |serial: u64| {
        let mut table = two_sites(Policy::Failover);
        table.targets[0].addresses = vec![Ipv4Addr::from(serial as u32)];
        let names: Vec<(String, NameTable)> = (0..20).map(|n| (format!("n{n}.case.example"), table.clone())).collect();
        let names: Vec<(&str, NameTable)> = names.iter().map(|(name, table)| (name.as_str(), table.clone())).collect();
        zone(1, serial, &names)
    };
    world.server.route(numbered(1)).await.unwrap();
    let last = 60u64;
    let listen = world.config.listen;
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            tokio::spawn(async move {
                let (mut seen, mut changes, mut turn) = (0, 0, reader);
                while u64::from(seen) < last {
                    turn += 7;
                    let message = question(&format!("n{}.case.example.", turn % 20), RecordType::A);
                    let Some(reply) = exchange_udp(listen, &message.to_vec().unwrap()).await else { continue };
                    let number = u32::from(addresses(&Message::from_vec(&reply).unwrap())[0]);
                    assert!(number >= seen, "{number} after {seen}");
                    changes += u32::from(number > seen);
                    seen = number;
                }
                changes
            })
        })
        .collect();
    for serial in 2..=last {
        // Two writers race with the same and an older zone.
        let (new, old) = tokio::join!(world.server.route(numbered(serial)), world.server.route(numbered(serial - 1)));
        assert_eq!(new, Ok(Act::Done(())));
        assert!(!matches!(old, Ok(Act::Done(()))));
    }
    for reader in readers {
        let changes = tokio::time::timeout(support::GENEROUS, reader).await.expect("the last zone is seen").unwrap();
        assert!(changes > 1, "the readers saw zones change");
    }
}
