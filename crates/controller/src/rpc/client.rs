//! Calling one peer, and knowing afterwards what may have happened.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use drivers::postgres::Entry;
use model::glass::GlassRequest;
use model::{Action, Attempt, AttemptId, LeaseReply, LeaseRequest, Outcome, SiteId, SiteReport};
use reqwest::Method;
use rustls::{AlertDescription, ClientConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::access::Problem;
use super::wire::{self, ActRequest, AttemptReply, AttemptRequest, GlassView, PingReply};
use crate::identity::{Identity, IdentityError, Peer};
use crate::journal::Line;

/// Why a call has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The call was never sent.
    #[error("{peer} cannot be reached: {why}")]
    Unreachable { peer: Peer, why: String },
    /// Sent, perhaps, and not answered in time.
    #[error("{peer} did not answer within {}", model::time::human(*.within))]
    TimedOut { peer: Peer, within: Duration },
    /// The connection broke before the answer was complete.
    #[error("the connection to {peer} broke: {why}")]
    Broken { peer: Peer, why: String },
    #[error("{peer} refused: {}", .problem.why)]
    Refused { peer: Peer, status: u16, problem: Box<Problem> },
    /// The peer accepted the call, and its answer is none that we know.
    #[error("cannot read the answer of {peer}: {why}")]
    Unreadable { peer: Peer, why: String },
}

impl CallError {
    /// Whether the peer may have done what it was asked. Never `false` when in doubt.
    pub fn may_have_happened(&self) -> bool {
        match self {
            CallError::Unreachable { .. } => false,
            CallError::Refused { status, .. } => *status >= 500,
            CallError::TimedOut { .. } | CallError::Broken { .. } | CallError::Unreadable { .. } => true,
        }
    }
}

/// Calls one peer at one address. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct PeerClient {
    shared: Arc<Shared>,
}

struct Shared {
    peer: Peer,
    address: SocketAddr,
    connect_within: Duration,
    tls: ClientConfig,
    client: Mutex<reqwest::Client>,
}

impl std::fmt::Debug for PeerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerClient({} at {})", self.shared.peer, self.shared.address)
    }
}

impl PeerClient {
    /// A client that calls `peer` as `identity`. Whoever answers at `address` must prove to be `peer`.
    /// `connect_within` bounds connecting alone, so that a long call to a silent address is known early to be unsent.
    pub fn new(
        identity: &Identity,
        peer: Peer,
        address: SocketAddr,
        connect_within: Duration,
    ) -> Result<Self, IdentityError> {
        let tls = identity.client_config()?;
        let client = build(&peer, address, connect_within, &tls)?;
        let shared = Shared { peer, address, connect_within, tls, client: Mutex::new(client) };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    /// GET `path`, the whole answer within `within`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, within: Duration) -> Result<T, CallError> {
        self.call(Method::GET, path, None::<&()>, within).await
    }

    /// POST `body` to `path`, the whole answer within `within`.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        within: Duration,
    ) -> Result<T, CallError> {
        self.call(Method::POST, path, Some(body), within).await
    }

    /// GET `path`, an answer that is no JSON.
    pub async fn get_bytes(&self, path: &str, within: Duration) -> Result<Vec<u8>, CallError> {
        self.exchange(self.request(Method::GET, path, within), within).await
    }

    /// POST `body` as it is.
    pub async fn post_bytes(&self, path: &str, body: Vec<u8>, within: Duration) -> Result<(), CallError> {
        self.exchange(self.request(Method::POST, path, within).body(body), within).await.map(drop)
    }

    /// Forgets the kept connections. A call that timed out does this by itself: the packets of a cut link vanish
    /// without an error, and the next call would go the same way.
    pub fn reset(&self) {
        let shared = &self.shared;
        if let Ok(fresh) = build(&shared.peer, shared.address, shared.connect_within, &shared.tls) {
            *shared.client.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
        within: Duration,
    ) -> Result<T, CallError> {
        let mut request = self.request(method, path, within);
        if let Some(body) = body {
            request = request.json(body);
        }
        let bytes = self.exchange(request, within).await?;
        let peer = self.shared.peer.clone();
        serde_json::from_slice(&bytes).map_err(|e| CallError::Unreadable { peer, why: e.to_string() })
    }

    fn request(&self, method: Method, path: &str, within: Duration) -> reqwest::RequestBuilder {
        let url = format!("https://{}:{}{path}", self.shared.peer.name(), self.shared.address.port());
        let client = self.shared.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        client.request(method, url).timeout(within)
    }

    async fn exchange(&self, request: reqwest::RequestBuilder, within: Duration) -> Result<Vec<u8>, CallError> {
        let peer = self.shared.peer.clone();
        let answer = async {
            let response = request.send().await?;
            let status = response.status();
            Ok((status, response.bytes().await?))
        };
        let (status, bytes) = answer.await.map_err(|error| self.explain(error, within))?;
        if !status.is_success() {
            let problem = Box::new(problem(status, &bytes));
            return Err(CallError::Refused { peer, status: status.as_u16(), problem });
        }
        Ok(bytes.to_vec())
    }

    fn explain(&self, error: reqwest::Error, within: Duration) -> CallError {
        let peer = self.shared.peer.clone();
        if error.is_connect() {
            return CallError::Unreachable { peer, why: root(&error) };
        }
        if certificate_refused(&error) {
            return CallError::Unreachable { peer, why: format!("it refused our certificate: {}", root(&error)) };
        }
        self.reset();
        if error.is_timeout() {
            return CallError::TimedOut { peer, within };
        }
        CallError::Broken { peer, why: root(&error) }
    }
}

fn build(
    peer: &Peer,
    address: SocketAddr,
    connect_within: Duration,
    tls: &ClientConfig,
) -> Result<reqwest::Client, IdentityError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .resolve(&peer.name(), address)
        .connect_timeout(connect_within)
        .build()
        .map_err(|e| IdentityError::Make(root(&e)))
}

fn problem(status: StatusCode, bytes: &[u8]) -> Problem {
    serde_json::from_slice(bytes).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(bytes).trim().to_string();
        let why = if text.is_empty() { status.to_string() } else { text };
        Problem::new(status, "refused", why, "")
    })
}

/// The innermost cause: the outer ones repeat that a request failed.
fn root(error: &dyn StdError) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// With TLS 1.3 a server's refusal of our certificate arrives after the handshake has ended on our side. The server
/// has read nothing of the call then.
fn certificate_refused(error: &reqwest::Error) -> bool {
    use AlertDescription as A;
    let mut source = error.source();
    while let Some(cause) = source {
        let tls = cause.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()).and_then(|e| e.downcast_ref());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            let ours = [
                A::BadCertificate,
                A::UnsupportedCertificate,
                A::CertificateRevoked,
                A::CertificateExpired,
                A::CertificateUnknown,
                A::UnknownCA,
                A::AccessDenied,
                A::DecryptError,
                A::CertificateRequired,
            ];
            return ours.contains(alert);
        }
        source = cause.source();
    }
    false
}

/// An agent's calls, by name.
#[derive(Clone, Debug)]
pub struct AgentClient {
    peer: PeerClient,
}

impl AgentClient {
    /// A client of the agent of `site`; see [`PeerClient::new`].
    pub fn new(
        identity: &Identity,
        site: SiteId,
        address: SocketAddr,
        connect_within: Duration,
    ) -> Result<Self, IdentityError> {
        Ok(Self { peer: PeerClient::new(identity, Peer::Agent(site), address, connect_within)? })
    }

    pub async fn ping(&self, within: Duration) -> Result<PingReply, CallError> {
        self.peer.get(wire::PING, within).await
    }

    pub async fn report(&self, within: Duration) -> Result<SiteReport, CallError> {
        self.peer.get(wire::REPORT, within).await
    }

    /// Gives an order and waits for its end, or for `within`, which must leave the agent its whole deadline.
    pub async fn act(&self, attempt: Attempt, action: Action, within: Duration) -> Result<Outcome, CallError> {
        self.peer.post(wire::ACT, &ActRequest { attempt, action }, within).await
    }

    pub async fn inquire(&self, attempt: AttemptId, within: Duration) -> Result<AttemptReply, CallError> {
        self.peer.post(wire::INQUIRE, &AttemptRequest { attempt }, within).await
    }

    pub async fn cancel(&self, attempt: AttemptId, within: Duration) -> Result<AttemptReply, CallError> {
        self.peer.post(wire::CANCEL, &AttemptRequest { attempt }, within).await
    }

    pub async fn lease(&self, request: &LeaseRequest, within: Duration) -> Result<LeaseReply, CallError> {
        self.peer.post(wire::LEASE, request, within).await
    }

    pub async fn vault_list(&self, within: Duration) -> Result<Vec<Entry>, CallError> {
        self.peer.get(wire::VAULT, within).await
    }

    pub async fn vault_part(&self, name: &str, offset: u64, within: Duration) -> Result<Vec<u8>, CallError> {
        self.peer.get_bytes(&wire::vault_part(name, offset), within).await
    }

    pub async fn vault_add(&self, name: &str, offset: u64, bytes: Vec<u8>, within: Duration) -> Result<(), CallError> {
        self.peer.post_bytes(&wire::vault_part(name, offset), bytes, within).await
    }

    pub async fn vault_seal(&self, entry: &Entry, within: Duration) -> Result<(), CallError> {
        self.peer.post(wire::VAULT_SEAL, entry, within).await
    }

    pub async fn glass(&self, within: Duration) -> Result<GlassView, CallError> {
        self.peer.get(wire::GLASS, within).await
    }

    pub async fn break_glass(&self, request: &GlassRequest, within: Duration) -> Result<GlassView, CallError> {
        self.peer.post(wire::GLASS, request, within).await
    }

    pub async fn glass_journal(&self, from: u64, within: Duration) -> Result<Vec<Line>, CallError> {
        self.peer.get(&wire::glass_journal(from), within).await
    }

    /// See [`PeerClient::reset`].
    pub fn reset(&self) {
        self.peer.reset();
    }
}
