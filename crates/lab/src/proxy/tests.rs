//! Real sockets on loopback, with free ports that the kernel picks.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use model::SiteId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::*;

/// Nothing healthy takes this long, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough that bytes which were let through would have arrived.
const QUIET: Duration = Duration::from_millis(150);

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}
fn sites() -> (SiteId, SiteId) {
    (SiteId::new("a"), SiteId::new("b"))
}
fn ab() -> Link {
    let (a, b) = sites();
    Link::new(&a, &b)
}

/// A server that answers every byte with the same byte.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(any()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn through(network: &Network, link: &Link, target: SocketAddr) -> SocketAddr {
    network.listen(link, Protocol::Tcp, any(), target).await.unwrap()
}

/// One byte there and back.
async fn ping(stream: &mut TcpStream) -> std::io::Result<u8> {
    stream.write_all(&[7]).await?;
    timeout(PATIENCE, stream.read_u8()).await.expect("an answer or an error")
}

async fn silent(stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(&[7]).await;
    timeout(QUIET, stream.read_u8()).await.is_err()
}

async fn was_reset(stream: &mut TcpStream) -> bool {
    let read = timeout(PATIENCE, stream.read_u8()).await.expect("the connection to end");
    matches!(read, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

async fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn bytes_pass_and_are_counted() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    assert_eq!(ping(&mut stream).await.unwrap(), 7);
    assert_eq!(network.traffic(&ab()), Traffic { open: 1, there: 1, back: 1 });
    drop(stream);
    until(|| network.traffic(&ab()).open == 0).await;
}

#[tokio::test]
async fn a_cut_silences_old_and_new_connections_and_healing_resets_them() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    let mut old = TcpStream::connect(at).await.unwrap();
    ping(&mut old).await.unwrap();
    let cut = network.cut(&[ab()]);
    assert_eq!(cut.hits(), Hits { connections: 1, ..Hits::default() });
    assert!(!cut.hits().any(), "nobody has noticed yet");
    let mut new = TcpStream::connect(at).await.unwrap();
    assert!(silent(&mut old).await);
    assert!(silent(&mut new).await);
    assert_eq!(cut.hits(), Hits { connections: 1, unanswered: 1, bytes_dropped: 2, ..Hits::default() });
    network.heal(&[ab()]);
    assert!(was_reset(&mut old).await);
    assert!(was_reset(&mut new).await);
    assert_eq!(ping(&mut TcpStream::connect(at).await.unwrap()).await.unwrap(), 7);
    assert!(cut.hits().any(), "counts outlive the fault");
}

#[tokio::test]
async fn clients_that_give_up_in_a_cut_leave_no_connection_behind() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    let cut = network.cut(&[ab()]);
    for _ in 0..20 {
        let mut probe = TcpStream::connect(at).await.unwrap();
        probe.write_all(b"GET /ready").await.unwrap();
    }
    until(|| cut.hits().unanswered == 20 && network.traffic(&ab()).open == 0).await;
}

#[tokio::test]
async fn neither_an_end_nor_a_reset_crosses_a_cut() {
    let target = TcpListener::bind(any()).await.unwrap();
    let network = Network::new();
    let at = through(&network, &ab(), target.local_addr().unwrap()).await;
    let mut clients = [TcpStream::connect(at).await.unwrap(), TcpStream::connect(at).await.unwrap()];
    let (mut first, mut second) = (target.accept().await.unwrap().0, target.accept().await.unwrap().0);
    for (client, server) in clients.iter_mut().zip([&mut first, &mut second]) {
        client.write_all(&[1]).await.unwrap();
        server.read_u8().await.unwrap();
    }
    network.cut(&[ab()]);
    first.set_zero_linger().unwrap();
    drop(first);
    drop(second);
    for client in &mut clients {
        assert!(timeout(QUIET, client.read_u8()).await.is_err(), "a dead server looks silent, not closed");
    }
    network.heal_all();
    for client in &mut clients {
        assert!(was_reset(client).await);
    }
}

#[tokio::test]
async fn one_way_loses_answers_or_requests() {
    let network = Network::new();
    let (a, b) = sites();
    let target = TcpListener::bind(any()).await.unwrap();
    let at = through(&network, &ab(), target.local_addr().unwrap()).await;
    let mut client = TcpStream::connect(at).await.unwrap();
    let (mut server, _) = target.accept().await.unwrap();

    let cut = network.cut_one_way(&b, &a);
    client.write_all(&[1]).await.unwrap();
    assert_eq!(timeout(PATIENCE, server.read_u8()).await.unwrap().unwrap(), 1, "requests still arrive");
    server.write_all(&[2, 3]).await.unwrap();
    assert!(timeout(QUIET, client.read_u8()).await.is_err(), "answers do not");
    until(|| cut.hits().bytes_dropped == 2).await;

    let mut late = TcpStream::connect(at).await.unwrap();
    late.write_all(&[4]).await.unwrap();
    let (mut server, _) = timeout(PATIENCE, target.accept()).await.unwrap().unwrap();
    assert_eq!(timeout(PATIENCE, server.read_u8()).await.unwrap().unwrap(), 4, "also on new connections");

    network.heal(&[ab()]);
    assert!(was_reset(&mut client).await, "a stream that lost bytes cannot go on");
    let cut = network.cut_one_way(&a, &b);
    let mut asker = TcpStream::connect(at).await.unwrap();
    assert!(silent(&mut asker).await);
    assert_eq!(cut.hits().unanswered, 1);
}

#[tokio::test]
async fn many_links_are_cut_at_once_while_bytes_flow() {
    let network = Network::new();
    let links: Vec<Link> = (0..8).map(|n| Link::new(&"a".into(), &SiteId::new(format!("b{n}")))).collect();
    let mut received = Vec::new();
    for link in &links {
        let target = TcpListener::bind(any()).await.unwrap();
        let at = through(&network, link, target.local_addr().unwrap()).await;
        let mut client = TcpStream::connect(at).await.unwrap();
        tokio::spawn(async move { while client.write_all(&[0; 4096]).await.is_ok() {} });
        let (mut server, _) = target.accept().await.unwrap();
        let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        received.push(count.clone());
        tokio::spawn(async move {
            let mut buffer = vec![0; 65536];
            while let Ok(n @ 1..) = server.read(&mut buffer).await {
                count.fetch_add(n as u64, Ordering::Relaxed);
            }
        });
    }
    until(|| received.iter().all(|n| n.load(Ordering::Relaxed) > 100_000)).await;
    let cut = network.cut(&links);
    let delivered = || links.iter().map(|link| network.traffic(link).there).sum::<u64>();
    let at_once = delivered();
    until(|| cut.hits().bytes_dropped > 1_000_000).await;
    // a delivery that was under way may still be counted: at most one chunk for each link
    assert!(delivered() - at_once <= links.len() as u64 * 128 * 1024);
    let after = delivered();
    tokio::time::sleep(QUIET).await;
    assert_eq!(delivered(), after);
    assert_eq!(cut.hits().connections, 8);
}

#[tokio::test]
async fn a_blackhole_swallows_no_more_than_a_send_buffer() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    let mut client = TcpStream::connect(at).await.unwrap();
    ping(&mut client).await.unwrap();
    network.cut(&[ab()]);
    let flood = async { while client.write_all(&[0; 65536]).await.is_ok() {} };
    assert!(timeout(Duration::from_millis(700), flood).await.is_err(), "the sender blocks in the end");
    let dropped = network.traffic(&ab());
    assert_eq!(dropped.there, 1);
}

#[tokio::test]
async fn a_refusing_target_closes_the_client_at_once() {
    let gone = TcpListener::bind(any()).await.unwrap().local_addr().unwrap();
    let network = Network::new();
    let at = through(&network, &ab(), gone).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    assert!(was_reset(&mut stream).await);
    network.cut(&[ab()]);
    let mut stream = TcpStream::connect(at).await.unwrap();
    assert!(silent(&mut stream).await, "a refusal does not cross a cut");
}

#[tokio::test]
async fn a_half_closed_connection_still_gets_its_answer() {
    let target = TcpListener::bind(any()).await.unwrap();
    let network = Network::new();
    let at = through(&network, &ab(), target.local_addr().unwrap()).await;
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(b"all of it").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut server, _) = target.accept().await.unwrap();
    let mut request = String::new();
    timeout(PATIENCE, server.read_to_string(&mut request)).await.unwrap().unwrap();
    server.write_all(request.to_uppercase().as_bytes()).await.unwrap();
    drop(server);
    let mut answer = String::new();
    timeout(PATIENCE, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "ALL OF IT");
}

#[tokio::test]
async fn latency_delays_and_a_cut_catches_what_is_under_way() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    ping(&mut stream).await.unwrap();
    let delay = Duration::from_millis(60);
    let slow = Fault::Latency { delay, jitter: Duration::from_millis(5) };
    let injection = network.set(&[(ab(), Conditions::both(slow))]);
    let start = Instant::now();
    ping(&mut stream).await.unwrap();
    assert!(start.elapsed() >= delay * 2);
    assert_eq!(injection.hits().bytes_delayed, 2);

    let far = Fault::Latency { delay: Duration::from_secs(3600), jitter: Duration::ZERO };
    let injection = network.set(&[(ab(), Conditions { there: far, back: Fault::Pass })]);
    stream.write_all(b"under way").await.unwrap();
    until(|| injection.hits().bytes_delayed == 9).await;
    let cut = network.cut(&[ab()]);
    until(|| cut.hits().bytes_dropped == 9).await;
}

#[tokio::test]
async fn a_slow_link_keeps_its_rate() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    network.set(&[(ab(), Conditions { there: Fault::Slow { bytes_per_second: 100_000 }, back: Fault::Pass })]);
    let mut stream = TcpStream::connect(at).await.unwrap();
    let start = Instant::now();
    stream.write_all(&[1; 30_000]).await.unwrap();
    timeout(PATIENCE, stream.read_exact(&mut [0; 30_000])).await.unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(290), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_and_content_survive_changes_of_conditions() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    let (mut read, mut write) = TcpStream::connect(at).await.unwrap().into_split();
    let bytes: Vec<u8> = (0..4_000_000u32).map(|n| (n * 31 % 251) as u8).collect();
    let sent = bytes.clone();
    tokio::spawn(async move { write.write_all(&sent).await });
    let mut got = vec![0; bytes.len()];
    let reading = tokio::spawn(async move {
        timeout(PATIENCE, read.read_exact(&mut got)).await.unwrap().unwrap();
        got
    });
    for round in 0..10 {
        let jitter = Duration::from_millis(round % 3);
        let fault = Fault::Latency { delay: Duration::from_millis(3), jitter };
        network.set(&[(ab(), Conditions::both(fault))]);
        tokio::time::sleep(Duration::from_millis(4)).await;
        network.set(&[(ab(), Conditions::PASS)]);
    }
    assert!(reading.await.unwrap() == bytes);
}

#[tokio::test]
async fn datagrams_pass_drop_delay_and_find_their_way_back() {
    let server = UdpSocket::bind(any()).await.unwrap();
    let target = server.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((n, from)) = server.recv_from(&mut buffer).await {
            server.send_to(&buffer[..n], from).await.unwrap();
        }
    });
    let network = Network::new();
    let at = network.listen(&ab(), Protocol::Udp, any(), target).await.unwrap();
    let clients = [UdpSocket::bind(any()).await.unwrap(), UdpSocket::bind(any()).await.unwrap()];
    let mut buffer = [0; 64];
    for (number, client) in clients.iter().enumerate() {
        client.connect(at).await.unwrap();
        client.send(&[number as u8]).await.unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(timeout(PATIENCE, client.recv(&mut buffer)).await.unwrap().unwrap(), 1);
        assert_eq!(buffer[0], number as u8, "each client gets its own answer");
    }
    let [client, _] = clients;
    let cut = network.cut(&[ab()]);
    client.send(&[9; 5]).await.unwrap();
    until(|| cut.hits().packets_dropped == 1 && cut.hits().bytes_dropped == 5).await;
    network.heal_all();
    client.send(&[3]).await.unwrap();
    assert_eq!(timeout(PATIENCE, client.recv(&mut buffer)).await.unwrap().unwrap(), 1, "the lost one never comes");
    let delay = Duration::from_millis(40);
    network.set(&[(ab(), Conditions::both(Fault::Latency { delay, jitter: Duration::ZERO }))]);
    let start = Instant::now();
    client.send(&[4]).await.unwrap();
    timeout(PATIENCE, client.recv(&mut buffer)).await.unwrap().unwrap();
    assert!(start.elapsed() >= delay * 2);
}

#[tokio::test]
async fn closing_frees_ports_and_resets_connections() {
    let network = Network::new();
    let at = through(&network, &ab(), echo().await).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    ping(&mut stream).await.unwrap();
    network.close().await;
    assert!(was_reset(&mut stream).await);
    assert!(TcpStream::connect(at).await.is_err());
    let _again = TcpListener::bind(at).await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_a_named_error() {
    let taken = TcpListener::bind(any()).await.unwrap();
    let at = taken.local_addr().unwrap();
    let error = Network::new().listen(&ab(), Protocol::Tcp, at, any()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {at} for a→b"));
}

/// Replication must not be slowed by the lab's own network. The bound is a tenth of what an idle core does, so that
/// only a gross mistake (a wake-up for each byte, Nagle) fails here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput_suffices_for_replication() {
    let target = TcpListener::bind(any()).await.unwrap();
    let network = Network::new();
    let at = through(&network, &ab(), target.local_addr().unwrap()).await;
    let total = 128 * 1024 * 1024;
    tokio::spawn(async move {
        let mut client = TcpStream::connect(at).await.unwrap();
        let chunk = vec![1; 128 * 1024];
        for _ in 0..total / chunk.len() {
            client.write_all(&chunk).await.unwrap();
        }
    });
    let (mut server, _) = target.accept().await.unwrap();
    let (start, mut got, mut buffer) = (Instant::now(), 0, vec![0; 256 * 1024]);
    while let Ok(n @ 1..) = server.read(&mut buffer).await {
        got += n;
    }
    let rate = got as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!("{rate:.0} MB/s");
    assert_eq!(got, total);
    assert!(rate > 20.0, "{rate:.0} MB/s");
}
