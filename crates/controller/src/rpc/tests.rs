use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Json, Router};
use model::{Action, Attempt, AttemptId, Epoch, Outcome, RunId, Verb, action::Evidence};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::identity::{Authority, Identity, Peer};

const SOON: Duration = Duration::from_secs(20);

fn agent(site: &str) -> Peer {
    Peer::Agent(site.into())
}

fn certificates() -> TempDir {
    let dir = TempDir::new().unwrap();
    let authority = Authority::create(dir.path(), "case-api").unwrap();
    for peer in [agent("a"), agent("b"), Peer::Controller, Peer::Operator("dana".into())] {
        authority.issue(&peer).unwrap();
    }
    dir
}

fn load(dir: &TempDir, peer: &Peer) -> Identity {
    Identity::load(dir.path(), peer).unwrap()
}

async fn act(_: FromController, Json(_): Json<wire::ActRequest>) -> Json<Outcome> {
    Json(Outcome::Done(Evidence::note("done")))
}

/// The agent of site a.
struct Fake {
    dir: TempDir,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn fake() -> Fake {
    let dir = certificates();
    let router = Router::new()
        .route(wire::PING, get(|peer: Peer| async move { Json(peer.name()) }))
        .route(wire::ACT, post(act))
        .route("/lease-of", get(|FromAgent(site): FromAgent| async move { Json(site) }))
        .route("/person", get(|FromOperator(person): FromOperator| async move { Json(person) }))
        .route("/wrong", get(|| async { Json(7) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let (identity, token) = (load(&dir, &agent("a")), stop.clone());
    tokio::spawn(async move { serve(listener, &identity, router, token).await.unwrap() });
    Fake { dir, address, stop }
}

fn client(fake: &Fake, as_peer: &Peer) -> PeerClient {
    PeerClient::new(&load(&fake.dir, as_peer), agent("a"), fake.address, SOON).unwrap()
}

fn order() -> (Attempt, Action) {
    let id = AttemptId { run: RunId(1), step: 2, number: 1 };
    let attempt = Attempt { id, epoch: Epoch::none(), generation: 1, deadline: SOON };
    (attempt, Action { site: "a".into(), component: "cases".into(), verb: Verb::Fence { clean: false } })
}

#[tokio::test]
async fn the_caller_is_who_its_certificate_says() {
    let fake = fake().await;
    for peer in [agent("b"), Peer::Controller, Peer::Operator("dana".into())] {
        let name: String = client(&fake, &peer).get(wire::PING, SOON).await.unwrap();
        assert_eq!(name, peer.name());
    }
    let site: String = client(&fake, &agent("b")).get("/lease-of", SOON).await.unwrap();
    let person: String = client(&fake, &Peer::Operator("dana".into())).get("/person", SOON).await.unwrap();
    assert_eq!((site.as_str(), person.as_str()), ("b", "dana"));
}

#[tokio::test]
async fn a_role_that_does_not_fit_gets_403_and_the_reason() {
    let fake = fake().await;
    let (attempt, action) = order();
    let request = wire::ActRequest { attempt, action };
    let outcome: Outcome = client(&fake, &Peer::Controller).post(wire::ACT, &request, SOON).await.unwrap();
    assert_eq!(outcome, Outcome::Done(Evidence::note("done")));
    for peer in [Peer::Operator("dana".into()), agent("b")] {
        let refused = client(&fake, &peer).post::<_, Outcome>(wire::ACT, &request, SOON).await.unwrap_err();
        assert!(!refused.may_have_happened());
        let CallError::Refused { status: 403, problem, .. } = refused else { panic!("{refused}") };
        assert_eq!(problem.code, "not-permitted");
        assert!(problem.why.contains("only the controller may"), "{}", problem.why);
    }
    for path in ["/lease-of", "/person"] {
        let refused = client(&fake, &Peer::Controller).get::<String>(path, SOON).await.unwrap_err();
        assert!(matches!(refused, CallError::Refused { status: 403, .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_stranger_without_a_certificate_gets_nothing() {
    let fake = fake().await;
    let ca = std::fs::read(fake.dir.path().join("ca.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(<rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(&ca).unwrap())
        .unwrap();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = agent("a").name();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .resolve(&name, fake.address)
        .timeout(SOON)
        .build()
        .unwrap();
    let refused = client.get(format!("https://{name}:{}/ping", fake.address.port())).send().await.unwrap_err();
    assert!(format!("{refused:?}").contains("CertificateRequired"), "{refused:?}");
}

#[tokio::test]
async fn a_stranger_of_another_workload_gets_nothing() {
    let fake = fake().await;
    // Same names, another authority: first a server that the client does not trust, then a client that trusts the
    // server's authority and shows the certificate of its own.
    let other = certificates();
    let stranger = PeerClient::new(&load(&other, &Peer::Controller), agent("a"), fake.address, SOON).unwrap();
    let refused = stranger.get::<String>(wire::PING, SOON).await.unwrap_err();
    assert!(matches!(refused, CallError::Unreachable { .. }), "{refused}");

    let mixed = load(&other, &Peer::Controller).trusting(&load(&fake.dir, &agent("a")));
    let stranger = PeerClient::new(&mixed, agent("a"), fake.address, SOON).unwrap();
    let refused = stranger.get::<String>(wire::PING, SOON).await.unwrap_err();
    let CallError::Unreachable { why, .. } = &refused else { panic!("{refused}") };
    assert!(why.contains("refused our certificate"), "{why}");
}

#[tokio::test]
async fn a_server_under_another_name_is_not_believed() {
    let fake = fake().await;
    let wrong = PeerClient::new(&load(&fake.dir, &Peer::Controller), agent("b"), fake.address, SOON).unwrap();
    let refused = wrong.get::<String>(wire::PING, SOON).await.unwrap_err();
    assert!(matches!(refused, CallError::Unreachable { .. }), "{refused}");
}

#[tokio::test]
async fn what_certainly_did_not_happen_is_told_from_what_may_have() {
    let fake = fake().await;
    let unreadable = client(&fake, &Peer::Controller).get::<String>("/wrong", SOON).await.unwrap_err();
    assert!(matches!(unreadable, CallError::Unreadable { .. }) && unreadable.may_have_happened());

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = PeerClient::new(&load(&fake.dir, &Peer::Controller), agent("a"), closed, SOON).unwrap();
    let unsent = nobody.get::<String>(wire::PING, SOON).await.unwrap_err();
    assert!(matches!(unsent, CallError::Unreachable { .. }) && !unsent.may_have_happened(), "{unsent}");
}

/// Forwards connections to `target`. While frozen ones stay open and swallow everything, as a cut link does.
async fn link(target: SocketAddr) -> (SocketAddr, CancellationToken, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, freeze, count) =
        (listener.local_addr().unwrap(), CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let (cut, counted) = (freeze.clone(), count.clone());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            // Only connections made before the cut are caught in it.
            let cut = if cut.is_cancelled() { CancellationToken::new() } else { cut.clone() };
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = cut.cancelled() => std::future::pending::<()>().await,
                }
                let _ = near.shutdown().await;
            });
        }
    });
    (address, freeze, count)
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_never_used_again() {
    let fake = fake().await;
    let (address, freeze, connections) = link(fake.address).await;
    let client = PeerClient::new(&load(&fake.dir, &Peer::Controller), agent("a"), address, SOON).unwrap();
    client.get::<String>(wire::PING, SOON).await.unwrap();
    client.get::<String>(wire::PING, SOON).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 1, "a connection is kept between calls");

    freeze.cancel();
    let silent = client.get::<String>(wire::PING, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(silent, CallError::TimedOut { .. }) && silent.may_have_happened(), "{silent}");
    client.get::<String>(wire::PING, SOON).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
