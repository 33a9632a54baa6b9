//! The regional load balancer: an HTTP/1.1 reverse proxy in front of the instances that are ready.
//!
//! A request is sent to one instance. It goes to another only when the first could not even be connected to, which proves
//! that nothing was sent: a write that may have happened is never repeated here, the client decides that.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::http::plainly;
use super::roster::{Finding, Roster, Turn};

/// Who answered: `site/instance`, or `site/-` when the load balancer did.
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers that concern one connection only (RFC 9110, section 7.6.1), and `expect`, which is answered here.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Out of descriptors, most likely: some come back only when others have run.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

type Reply = Response<Either<Full<Bytes>, Relayed>>;

pub(super) struct Balancer {
    roster: Arc<Roster>,
    client: Client<HttpConnector, Replayable>,
    /// `site/-`
    own_name: HeaderValue,
    /// What it says when nobody is ready.
    nobody: String,
    request_timeout: Duration,
}

impl Balancer {
    pub(super) fn new(
        roster: Arc<Roster>,
        own_name: HeaderValue,
        nobody: String,
        connect_timeout: Duration,
        request_timeout: Duration,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect_timeout));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { roster, client, own_name, nobody, request_timeout }
    }

    /// Takes connections until dropped; they end with it.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot take a connection");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
            };
            let _ = stream.set_nodelay(true);
            let balancer = self.clone();
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let balancer = balancer.clone();
                    async move { Ok::<_, std::convert::Infallible>(balancer.forward(request, peer).await) }
                });
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                if let Err(error) = served.await {
                    tracing::debug!(%peer, %error, "a connection ended early");
                }
            });
        }
    }

    async fn forward(&self, request: Request<Incoming>, peer: SocketAddr) -> Reply {
        if request.method() == Method::CONNECT {
            return self.own(StatusCode::NOT_IMPLEMENTED, "this is not a tunnel");
        }
        let (mut parts, body) = request.into_parts();
        clean(&mut parts.headers);
        add_forwarded(&mut parts.headers, peer);
        let body = Replayable(Arc::new(Mutex::new(Sent { body, started: false })));
        let mut tried = Vec::new();
        loop {
            let Some(turn) = self.roster.pick(&tried) else {
                return self.own(StatusCode::SERVICE_UNAVAILABLE, &self.nobody);
            };
            let Some(request) = readdress(&parts, turn.slot().address, body.clone()) else {
                return self.own(StatusCode::BAD_REQUEST, "the request's target is not a path");
            };
            let name = &turn.slot().name;
            match tokio::time::timeout(self.request_timeout, self.client.request(request)).await {
                Ok(Ok(response)) => return relay(response, turn),
                Ok(Err(error)) if error.is_connect() && !body.started() => {
                    tracing::debug!(instance = %name, error = %plainly(&error), "cannot connect to an instance");
                    // The next check may take it back; until then nobody else need try.
                    self.roster.checked(turn.index, Finding::Answered { alive: false, ready: false });
                    tried.push(turn.index);
                }
                Ok(Err(error)) => {
                    let why =
                        format!("{name} gave no reply, the request may have been carried out: {}", plainly(&error));
                    return self.own(StatusCode::BAD_GATEWAY, &why);
                }
                Err(_) => {
                    let within = model::time::human(self.request_timeout);
                    let why = format!("{name} gave no reply within {within}, the request may have been carried out");
                    return self.own(StatusCode::GATEWAY_TIMEOUT, &why);
                }
            }
        }
    }

    fn own(&self, status: StatusCode, why: &str) -> Reply {
        let mut response = Response::new(Either::Left(Full::from(format!("{why}\n"))));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response.headers_mut().insert(SERVED_BY, self.own_name.clone());
        response
    }
}

fn clean(headers: &mut HeaderMap) {
    // A sender may name further headers that concern this connection only.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    named.iter().for_each(|name| drop(headers.remove(name)));
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(*name)));
}

fn add_forwarded(headers: &mut HeaderMap, peer: SocketAddr) {
    if let Ok(value) = HeaderValue::from_str(&peer.ip().to_string()) {
        headers.append(FORWARDED_FOR, value);
    }
}

/// The same request to this instance. The `host` header stays the client's.
fn readdress(parts: &Parts, address: SocketAddr, body: Replayable) -> Option<Request<Replayable>> {
    let path = parts.uri.path_and_query()?.clone();
    let uri = Uri::builder().scheme("http").authority(address.to_string()).path_and_query(path).build().ok()?;
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = parts.headers.clone();
    Some(request)
}

fn relay(response: Response<Incoming>, turn: Turn) -> Reply {
    let (mut parts, body) = response.into_parts();
    clean(&mut parts.headers);
    parts.version = Version::HTTP_11;
    parts.headers.insert(SERVED_BY, turn.slot().served_by.clone());
    Response::from_parts(parts, Either::Right(Relayed { body, _turn: turn }))
}

/// An instance's reply on its way to the client: its turn ends with the last byte.
pub(super) struct Relayed {
    body: Incoming,
    _turn: Turn,
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client's body that can be offered to a second instance for as long as nobody has read from it.
#[derive(Clone)]
struct Replayable(Arc<Mutex<Sent>>);

struct Sent {
    body: Incoming,
    started: bool,
}

impl Replayable {
    fn sent(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
    fn started(&self) -> bool {
        self.sent().started
    }
}

impl Body for Replayable {
    type Data = Bytes;
    type Error = hyper::Error;
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut sent = self.sent();
        sent.started = true;
        Pin::new(&mut sent.body).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.sent().body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.sent().body.size_hint()
    }
}
